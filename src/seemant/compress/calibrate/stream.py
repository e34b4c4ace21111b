"""A model layer by layer over calibration text, each layer seeing the rounded ones before it.

    for work in LayerStream(tensors, sequences).layers():
        h = mixed(work.moments["attn_in"])                   # of blk.N.attn_q, attn_k, attn_v
        work.replace(f"blk.{work.layer}.attn_q.weight", ŵ)   # the next layers see it
    head = stream.final()                                    # moments of the head's input

Memory: all sequences' hidden states twice (32 x 512 x 640 float32 is 42 MB), one block in float32,
and that block's moments; an input's moments may be popped once they are used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seemant.compress.calibrate.hessians import Moments
from seemant.compress.calibrate.one_block import block_of, rows_for
from seemant.compress.calibrate.state import load_state, save_state
from seemant.compress.calibrate.tensors import LAST_NORM, Tensors
from seemant.core.errors import BadFile
from seemant.core.hashing import text_sha256
from seemant.models.decoder.block import Block
from seemant.models.decoder.norm import RmsNorm

SITE_OF = {
    "attn_q": "attn_in",
    "attn_k": "attn_in",
    "attn_v": "attn_in",
    "attn_qkv": "attn_in",
    "attn_output": "attn_out",
    "ffn_gate": "mlp_in",
    "ffn_up": "mlp_in",
    "ffn_down": "mlp_mid",
}
"""Which input a kind of matrix reads."""

SITES = ("attn_in", "attn_out", "mlp_in", "mlp_mid")
MIXED = "mixed"
_READERS = {
    "attn_in": ("self_attn.q_proj", "self_attn.qkv_proj"),
    "attn_out": ("self_attn.o_proj",),
    "mlp_in": ("mlp.gate_proj", "mlp.gate_up_proj"),
    "mlp_mid": ("mlp.down_proj",),
}
"""A module that reads a site: the one of these that a block has."""


@dataclass(slots=True, eq=False)
class LayerWork:
    """One layer: its tensors, and what its linears read.

    weights: by GGUF name, GGUF's layout, float32: matrices (R, C), biases and norms (C,).
    moments: by site and language; {} for a site that was not asked for.
    """

    layer: int
    weights: dict[str, Tensor]
    moments: dict[str, dict[str, Moments]]
    _stream: "LayerStream"
    _changed: bool = False
    _done: bool = False

    def replace(self, name: str, values: NDArray[np.float32] | Tensor) -> None:
        """Let the layers after this one see these values of a tensor, GGUF's layout."""
        new = values if isinstance(values, Tensor) else torch.from_numpy(values)
        if name not in self.weights or new.shape != self.weights[name].shape:
            raise ValueError(f"{tuple(new.shape)} for {name} of layer {self.layer}")
        self.weights[name] = new.float()
        self._changed = True
        self._stream._next = {}  # made with the old values

    def sample(self, tokens: int) -> tuple[Tensor, list[int]]:
        """Return inputs of the block (N, d), whole sequences until each language has so many
        tokens, and the sequences' lengths.
        """
        return self._stream._sample(tokens)

    def advance(self) -> None:
        """Make this layer's outputs the next one's inputs; the stream does it where you do not."""
        if not self._done:
            self._done = True
            self._stream._advance(self)


@dataclass(slots=True, eq=False)
class LayerStream:
    """The hidden states of all sequences, on their way through a model.

    sequences: token ids by language. weights: mixes the languages' moments as they are summed, one
        matrix in place of one a language, under the name "mixed"; None: apart.
    sites: whose moments are collected. batch_tokens: worked on together.
    folder, key: where the state is kept after each layer, and what else decides it (the settings
        of the rounding): a stream with the same key and sequences goes on there.
    """

    tensors: Tensors
    sequences: Mapping[str, Sequence[Sequence[int]]]
    weights: Mapping[str, float] | None = None
    sites: Sequence[str] = SITES
    batch_tokens: int = 2048
    folder: Path | None = None
    key: str = ""
    _hidden: dict[str, Tensor] = field(default_factory=dict)
    _next: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def layers(self) -> Iterator[LayerWork]:
        """Yield every layer's work, from the first that is not done.

        Raises:
            BadFile: hidden states that are not finite; names the layer.
        """
        first = self._start()
        for layer in range(first, self.tensors.shape.layers):
            tensors = self.tensors.layer(layer)
            moments: dict[str, dict[str, Moments]] = {site: {} for site in SITES}
            self._next = self._through(layer, tensors, moments)
            work = LayerWork(layer, tensors, moments, self)
            yield work
            work.advance()

    @torch.no_grad()
    def final(self) -> dict[str, Moments]:
        """Return the moments of the last norm's outputs, what the head reads, by language; after
        the last layer. The kept state stays, for what is made of them may fail.
        """
        norm = RmsNorm(
            self.tensors.whole(LAST_NORM), self.tensors.shape.eps, shift=0.0, trained=False
        )
        moments: dict[str, Moments] = {}
        for lang, weight, rows, _ in self._batches():
            self._add(moments, lang, norm(self._hidden[lang][rows]), weight)
        return moments

    def kept_layers(self) -> int:
        """Return how many layers a kept state has behind it; 0: there is none."""
        kept = self.folder and load_state(self.folder, self._key())
        return kept[0] if kept else 0

    @property
    def hidden(self) -> Mapping[str, Tensor]:
        """The inputs of the layer at hand, (N, d) by language, sequence after sequence."""
        return self._hidden

    def _start(self) -> int:
        if self.folder is not None and (kept := load_state(self.folder, self._key())):
            self._hidden = kept[1]
            return kept[0]
        for lang, sequences in self.sequences.items():
            ids = torch.tensor([token for sequence in sequences for token in sequence])
            self._hidden[lang] = self.tensors.embedded(ids)
        return 0

    def _advance(self, work: LayerWork) -> None:
        if work._changed:
            self._next = self._through(work.layer, work.weights, None)
        self._hidden, self._next = self._next, {}
        for lang, x in self._hidden.items():
            if not bool(torch.isfinite(x).all()):
                raise BadFile(
                    f"hidden states of {lang} text that are not finite",
                    where=f"after layer {work.layer}",
                    fix="a weight of this layer is damaged: fetch the model again",
                )
        if self.folder is not None:
            save_state(self.folder, self._key(), work.layer + 1, self._hidden)

    @torch.no_grad()
    def _through(
        self,
        layer: int,
        tensors: Mapping[str, Tensor],
        moments: dict[str, dict[str, Moments]] | None,
    ) -> dict[str, Tensor]:
        """Return the layer's outputs; what its linears read is added to the moments."""
        block = block_of(self.tensors.shape, layer, tensors)
        out = {lang: torch.empty_like(x) for lang, x in self._hidden.items()}
        for lang, weight, rows, lengths in self._batches():
            hooks = [
                _reader(block, site).register_forward_pre_hook(
                    lambda _, x, into=moments[site], lang=lang, weight=weight: self._add(
                        into, lang, x[0], weight
                    )
                )
                for site in (self.sites if moments is not None else ())
                if moments is not None
            ]
            known = rows_for(self.tensors.shape, layer, lengths)
            out[lang][rows] = block(self._hidden[lang][rows], known)
            for hook in hooks:
                hook.remove()
        return out

    def _add(self, into: dict[str, Moments], lang: str, x: Tensor, weight: float) -> None:
        name = lang if self.weights is None else MIXED
        if name not in into:
            into[name] = Moments.of(x.shape[-1])
        into[name].add(x, weight)

    def _batches(self) -> Iterator[tuple[str, float, slice, list[int]]]:
        """Yield (language, a token's weight, its rows of the hidden states, lengths)."""
        for lang, sequences in self.sequences.items():
            weight = self._weight(lang)
            start = 0
            lengths: list[int] = []
            for sequence in sequences:
                if lengths and sum(lengths) + len(sequence) > self.batch_tokens:
                    yield lang, weight, slice(start, start + sum(lengths)), lengths
                    start, lengths = start + sum(lengths), []
                lengths.append(len(sequence))
            yield lang, weight, slice(start, start + sum(lengths)), lengths

    def _weight(self, lang: str) -> float:
        if self.weights is None:
            return 1.0
        counts = {name: sum(map(len, each)) for name, each in self.sequences.items()}
        share = self.weights.get(lang, 0.0) / sum(self.weights.values())
        return share * sum(counts.values()) / counts[lang]

    def _sample(self, tokens: int) -> tuple[Tensor, list[int]]:
        found, lengths = [], []
        for lang, sequences in self.sequences.items():
            n = 0
            for sequence in sequences:
                if n >= tokens:
                    break
                lengths.append(len(sequence))
                n += len(sequence)
            found.append(self._hidden[lang][:n])
        return torch.cat(found), lengths

    def _key(self) -> str:
        ids = {lang: [list(each) for each in found] for lang, found in self.sequences.items()}
        return text_sha256(f"{self.key}\0{ids}\0{self.batch_tokens}\0{self.tensors.shape}")


def _reader(block: Block, site: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(block.named_modules())
    return next(modules[each] for each in _READERS[site] if each in modules)
