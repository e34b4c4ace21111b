"""Tiny decoders of the four families, every tensor random, in GGUF's names and layout and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.parts import block_parts
from seemant.compress.awq.site_search import Forward
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.shape import DecoderShape, shape_of_config
from seemant.models.decoder.weights import state_weights
from seemant.models.names import Family, to_gguf, to_hf, values_to_gguf, values_to_hf

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")
D, FF, VOCAB, LAYERS = 64, 96, 64, 2
LENGTHS = [17, 30]


def tiny_shape(family: str, *, tied: bool = True, biases: bool = True) -> DecoderShape:
    return shape_of_config(
        {
            "model_type": {"gemma3": "gemma3_text"}.get(family, family),
            "vocab_size": VOCAB,
            "hidden_size": D,
            "intermediate_size": FF,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "sliding_window": 8,
            "query_pre_attn_scalar": 16,
            "attention_bias": biases,
            "mlp_bias": biases,
            "tie_word_embeddings": tied,
            "rms_norm_eps": 1e-5,
        }
    )


def tiny_state(shape: DecoderShape, *, seed: int = 0) -> dict[str, Tensor]:
    """Tensors by transformers' name; gains from about .3 to 2 (Gemma's stored 1 less)."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, size in shape.tensors().items():
        values = torch.randn(*size, generator=generator)
        if name.endswith("norm.weight"):
            gain = (0.4 * values).exp()
            state[name] = gain - 1 if shape.gemma_norms else gain
        elif len(size) == 1:
            state[name] = 0.3 * values
        else:
            state[name] = values / size[1] ** 0.5
    return state


def to_file(shape: DecoderShape, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state as a GGUF file has it."""
    out = {}
    for name, values in state.items():
        gguf = to_gguf(name, shape.family)
        out[gguf] = torch.from_numpy(values_to_gguf(gguf, values.numpy(), family_of(shape)))
    return out


def from_file(shape: DecoderShape, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    out = {}
    for name, values in tensors.items():
        hf = values_to_hf(name, values.numpy(), family_of(shape))
        out[to_hf(name, shape.family)] = torch.from_numpy(hf)
    return out


def family_of(shape: DecoderShape) -> Family:
    return Family(shape.family, shape.heads, shape.kv_heads)


def logits(shape: DecoderShape, state: Mapping[str, Tensor]) -> Tensor:
    """Logits of some fixed tokens of a state by transformers' names."""
    decoder = frozen_decoder(state_weights(shape, state), "float", "float", "float32")
    ids = torch.randint(0, VOCAB, (sum(LENGTHS),), generator=torch.Generator().manual_seed(5))
    head = state["model.embed_tokens.weight" if shape.tied else "lm_head.weight"]
    with torch.no_grad():
        return decoder(ids, LENGTHS) @ head.T


def file_logits(shape: DecoderShape, tensors: Mapping[str, Tensor]) -> Tensor:
    return logits(shape, from_file(shape, tensors))


def moved(after: Tensor, before: Tensor) -> float:
    """The largest change, in units of the largest logit."""
    return float((after - before).abs().max() / before.abs().max())


def block_of(tensors: Mapping[str, Tensor], layer: int = 0) -> dict[str, Tensor]:
    return {name: each for name, each in tensors.items() if name.startswith(f"blk.{layer}.")}


def some_input(shape: DecoderShape, *, spread: float = 1.5, seed: int = 1) -> Tensor:
    """A block's input (N, d) some of whose channels are far larger than others."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(LENGTHS), shape.d, generator=generator)
    return x * (spread * torch.randn(shape.d, generator=generator)).exp()


def measured(
    shape: DecoderShape, block: Mapping[str, Tensor], layer: int = 0, *, spread: float = 1.5
) -> tuple[Forward, dict[str, SiteMoments]]:
    """The block's parts on some input, and the moments of its sites (found by plain hooks)."""
    x = some_input(shape, spread=spread)
    forward = block_parts(shape, layer, x, LENGTHS, block)
    inputs = site_inputs(shape, block, x, layer)
    return forward, {
        site: SiteMoments(each.T @ each / len(each), each.abs().mean(0))
        for site, each in inputs.items()
    }


def site_inputs(
    shape: DecoderShape, block: Mapping[str, Tensor], x: Tensor, layer: int = 0
) -> dict[str, Tensor]:
    """What each site's readers read, (N, C), seen by a decoder that runs this block on x."""
    state = tiny_state(shape) | from_file(shape, block)
    decoder = frozen_decoder(state_weights(shape, state), "float", "float", "float32")
    one = decoder.model.layers[layer]
    seen: dict[str, Tensor] = {}
    first = {"attn_in": "q_proj", "attn_out": "o_proj", "mlp_in": "gate_proj"}
    for site, name in (first | {"mlp_mid": "down_proj"}).items():
        module = getattr(one.self_attn, name, None) or getattr(one.mlp, name)
        module.register_forward_hook(lambda _m, args, _out, site=site: seen.update({site: args[0]}))
    with torch.no_grad():
        one(x, decoder.rows_of(LENGTHS, x.device))
    return seen
