"""One pass over a model rounds its blocks for every mix of calibration languages and every method.

Second moments add up, so a mix is a sum of parts. Each language's text is cut in three: the first
third serves the mix of three, with the next sixth the mix of two, and all of it the mix of one; so
every mix has the same number of tokens. The prefix stays float: one mix's rounding must not change
what another one sees. What a layer gave lies on the disk, packed, before the next one begins.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.awq.config import AwqConfig
from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.parts import block_parts
from seemant.compress.awq.prepare import prepare_block
from seemant.compress.calibrate.hessians import mean_size, mixed
from seemant.compress.calibrate.stream import SITE_OF, LayerStream, LayerWork
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tokens import Text, random_sequences, sequences_of
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.gptq import gptq, prepare
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import METHODS
from seemant.compress.source import Source
from seemant.core.atomic import atomic_path
from seemant.core.records import Lang
from seemant.formats.gguf_read import GgufFile
from seemant.formats.tensor_format import format_of, pack_format, unpack_format, value_format
from seemant.models.tokenizer import tokenizer_of_metadata

Array = NDArray[np.generic]
RANDOM = "random"
MIXES: dict[str, tuple[str, ...]] = {
    "en": ("en",),
    "hi": ("hi",),
    "kn": ("kn",),
    "hi+kn": ("hi", "kn"),
    "hi+kn+en": ("hi", "kn", "en"),
    RANDOM: (RANDOM,),
}
BLOCKS = format_of("q4_0")
SAMPLE = 2048  # tokens that AWQ's candidates are verified on
_PARTS = {1: 3, 2: 2, 3: 1}  # languages of a mix -> parts of each that it takes


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A draw of calibration text on its way through a model.

    tokens: of each mix, six sequences of `length` or a multiple. folder: what is kept.
    """

    file: GgufFile
    text: Mapping[Lang, Sequence[str]]
    tokens: int
    length: int
    draw: int
    methods: Sequence[str]
    folder: Path

    def run(self, tick: Callable[[int], None] = lambda layer: None) -> None:
        """Round every block for all mixes and methods; goes on where a killed run stopped."""
        stream = LayerStream(
            tensors_of(Source(self.file, {})),
            self.sequences(),
            folder=self.folder / "stream",
            key=f"{self.methods} {self.tokens} {self.draw}",
        )
        for work in stream.layers():
            for method in self.methods:
                for mix in MIXES:
                    self._keep(work.layer, mix, method, ROUND[method](work, stream, mix))
            tick(work.layer)
        self._mark.touch()

    @property
    def done(self) -> bool:
        """Whether every layer is on the disk."""
        return self._mark.is_file()

    def sequences(self) -> dict[str, list[list[int]]]:
        """Return the sequences by part: "hi/0", "hi/1", "hi/2", ..., "random"."""
        tokenizer = tokenizer_of_metadata(self.file.metadata)
        listed = sequences_of(
            Text(self.text),
            tokenizer,
            list(self.text),
            tokens=self.tokens,
            length=self.length,
            seed=self.draw,
        )
        n = self.tokens // self.length
        cuts = (0, n // 3, n // 2, n)
        found: dict[str, list[list[int]]] = {}
        for lang, each in listed.items():
            if sum(map(len, each)) != self.tokens:
                raise SystemExit(f"{lang}: the text has less than {self.tokens} tokens")
            for part in range(3):
                found[f"{lang}/{part}"] = each[cuts[part] : cuts[part + 1]]
        shape = self.file.tensors["token_embd.weight"].shape
        found[RANDOM] = random_sequences(
            shape[0], tokens=self.tokens, length=self.length, seed=self.draw
        )
        return found

    def values(self, mix: str, method: str) -> dict[str, NDArray[np.float32]]:
        """Return the tensors of all blocks that a variant changed, in GGUF's layout."""
        found: dict[str, NDArray[np.float32]] = {}
        for path in sorted(self.folder.glob(f"*-{mix}-{method}.npz")):
            with np.load(path) as layer:
                for name in layer.files:
                    found[name] = layer[name]
                    if found[name].dtype == np.uint8:
                        found[name] = value_format(*unpack_format(found[name], BLOCKS))
        return found

    @property
    def _mark(self) -> Path:
        return self.folder / f"done-{'-'.join(self.methods)}"

    def _keep(self, layer: int, mix: str, method: str, tensors: Mapping[str, Array]) -> None:
        with atomic_path(self.folder / f"{layer}-{mix}-{method}.npz") as path, path.open("wb") as f:
            np.savez(f, **dict(tensors))


def parts_of(mix: str) -> list[str]:
    """Return the parts of the text that a mix adds up."""
    if mix == RANDOM:
        return [RANDOM]
    return [f"{lang}/{part}" for lang in MIXES[mix] for part in range(_PARTS[len(MIXES[mix])])]


def nearest(file: GgufFile) -> dict[str, NDArray[np.float32]]:
    """Return the blocks' matrices rounded to nearest: what every mix is held against."""
    found = {}
    for name, tensor in file.tensors.items():
        if name.startswith("blk.") and len(tensor.shape) == 2:
            matrix = Matrix(name, np.ascontiguousarray(file.dequantize(name)), BLOCKS)
            found[name] = value_format(*METHODS["rtn"].run(matrix, MethodConfig()))
    return found


def _gptq(work: LayerWork, stream: LayerStream, mix: str) -> dict[str, Array]:
    """GPTQ on grids searched by squared error weighted with diag H; one factor an input."""
    found: dict[str, Array] = {}
    for site, hessian in _hessians(work, mix):
        prepared = prepare(hessian, BLOCKS, MethodConfig())
        for name in _readers(work, site):
            made, _ = gptq(work.weights[name].numpy(), prepared, BLOCKS, search="mse")
            found[name] = _packed(made)
    return found


def _importance(work: LayerWork, stream: LayerStream, mix: str) -> dict[str, Array]:
    """Scales searched by squared error weighted with the mean of x², weights to the nearest."""
    found: dict[str, Array] = {}
    for site in work.moments:
        n = {part: work.moments[site][part].n for part in parts_of(mix)}
        summed = sum(work.moments[site][part].importance() * n[part] for part in n)
        assert isinstance(summed, Tensor)
        weight = (summed / sum(n.values())).numpy().astype(np.float32)
        for name in _readers(work, site):
            matrix = Matrix(name, work.weights[name].numpy(), BLOCKS, importance=weight)
            found[name] = _packed(METHODS["imatrix"].run(matrix, MethodConfig()))
    return found


def _awq(work: LayerWork, stream: LayerStream, mix: str) -> dict[str, Array]:
    """Scales folded into the neighbours and clipping, on min-max grids; then to the nearest."""
    parts = parts_of(mix)
    moments = {}
    for site, hessian in _hessians(work, mix):
        of_mix = {part: work.moments[site][part] for part in parts}
        moments[site] = SiteMoments(hessian, mean_size(of_mix, _tokens(of_mix)))
    x, lengths = _sample(stream, parts)
    shape = stream.tensors.shape
    result = prepare_block(
        work.layer,
        work.weights,
        moments,
        block_parts(shape, work.layer, x, lengths, work.weights),
        lambda name: BLOCKS if work.weights[name].ndim == 2 else None,
        shape,
        AwqConfig(),
    )
    found: dict[str, Array] = {}
    for name, values in result.to_round().items():
        if values.ndim == 1:
            found[name] = values.numpy()
        else:
            matrix = Matrix(name, values.contiguous().numpy(), BLOCKS)
            found[name] = _packed(METHODS["rtn"].run(matrix, MethodConfig()))
    return found


ROUND: dict[str, Callable[[LayerWork, LayerStream, str], dict[str, Array]]] = {
    "gptq": _gptq,
    "imatrix": _importance,
    "awq": _awq,
}


def _hessians(work: LayerWork, mix: str) -> Iterator[tuple[str, Tensor]]:
    for site, found in work.moments.items():
        of_mix = {part: found[part] for part in parts_of(mix)}
        yield site, mixed(of_mix, _tokens(of_mix))


def _tokens(moments: Mapping[str, object]) -> dict[str, float]:
    """Return the shares that make the mean of parts the mean of their tokens."""
    return {part: each.n for part, each in moments.items()}  # type: ignore[attr-defined]


def _readers(work: LayerWork, site: str) -> list[str]:
    return [
        name
        for name, each in work.weights.items()
        if each.ndim == 2 and SITE_OF[name.split(".")[2]] == site
    ]


def _sample(stream: LayerStream, parts: Sequence[str]) -> tuple[Tensor, list[int]]:
    """Return inputs of the block (N, d) of a mix's own text, whole sequences, and their lengths."""
    first = [part for part in parts if part == RANDOM or part.endswith("/0")]
    rows, lengths = [], []
    for part in first:
        n = 0
        for sequence in stream.sequences[part]:
            if n >= SAMPLE // len(first):
                break
            lengths.append(len(sequence))
            n += len(sequence)
        rows.append(stream.hidden[part][:n])
    return torch.cat(rows), lengths


def _packed(made: Quantised) -> Array:
    return pack_format(*made, BLOCKS)
