"""Pairs of small decoders: a random one, and a copy whose linears are rounded."""

import torch
from torch import Tensor

from seemant.compress.attribution.decoders import Pair
from seemant.compress.attribution.text import Text, text_of
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.shape import DecoderShape, Rope
from seemant.models.decoder.weights import random_weights, state_weights
from seemant.probe.passages import Passage

VOCAB, D, FF = 97, 64, 96
PLANTED = 3


def shape(layers: int, *, tied: bool = True) -> DecoderShape:
    return DecoderShape(
        family="llama", vocab=VOCAB, d=D, ff=FF, layers=layers, heads=4, kv_heads=2, head_dim=16,
        tied=tied, eps=1e-5, windows=(None,) * layers, ropes=(Rope(1e4),) * layers,
        biases=frozenset(), qk_norm=False, gemma_norms=False, activation="silu", embed_scale=1.0,
        query_scale=0.25, softcap=None, max_length=128,
    )  # fmt: skip


def rounded(w: Tensor, bits: int = 5) -> Tensor:
    """Symmetric rounding, a scale a row: an outlier column makes its whole row coarse."""
    step = w.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (w / step).round() * step


def pair(layers: int = 8, *, planted: bool = False, tied: bool = True, even: bool = False) -> Pair:
    """planted: in layer 3 every 16th column is eight times as large, in both models.

    even: a large embedding, so that no layer weighs more for being early (untied only).
    """
    own = shape(layers, tied=tied)
    state = {name: 5 * random_weights(own, 0).whole(name) for name in own.tensors()}
    for name in own.tensors():
        if "norm" in name:
            state[name] = torch.ones_like(state[name])
        elif planted and f"layers.{PLANTED}." in name:
            state[name][:, ::16] *= 8
    if even:
        state["model.embed_tokens.weight"] *= 20
    other = {
        name: rounded(each) if ".layers." in name and each.ndim == 2 else each.clone()
        for name, each in state.items()
    }
    made = [
        frozen_decoder(state_weights(own, each), "float", "float", "float32")
        for each in (state, other)
    ]
    return Pair(*made)


def text(chunks: int = 10, length: int = 13, langs: tuple[str, ...] = ("hi", "en")) -> Text:
    """Random ids; the last chunk of a language is a little longer."""
    generator = torch.Generator().manual_seed(1)
    passages = []
    for lang in langs:
        for n in range(chunks):
            size = length + (n == chunks - 1)
            ids = torch.randint(0, VOCAB, (size,), generator=generator).tolist()
            passages.append(Passage(lang, f"{lang}-{n}", tuple(ids), 3 * size))  # type: ignore[arg-type]
    return text_of(passages, batch_tokens=50)


def naive_kld(reference: Decoder, other: Decoder, given: Text) -> list[float]:
    """KLD sums by chunk, whole log-softmaxes, a chunk at a time."""
    found = []
    for batch in given.batches:
        at = 0
        for length in batch.lengths:
            ids = batch.ids[at : at + length]
            at += length
            with torch.no_grad():
                p, q = (
                    torch.log_softmax((m(ids, [length]) @ head_weight(m).T).double(), -1)
                    for m in (reference, other)
                )
            found.append(float((p.exp() * (p - q)).sum()))
    return found


def head_weight(model: Decoder) -> Tensor:
    weight = model.head.weight
    assert isinstance(weight, Tensor)
    return weight
