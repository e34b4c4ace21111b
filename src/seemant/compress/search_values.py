"""The values that a search measures: near enough to the file's, and quick enough for a table.

Blocks are rounded on grids weighed by their inputs: GPTQ of every matrix at every format would cost
more than the search. The embedding is rounded as the file's will be. It is the largest matrix, one
that error feedback changes most, and a table that took it for worse would spend bytes on it.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.calibrate.hessians import mixed
from seemant.compress.calibrate.stream import MIXED, SITE_OF, LayerStream
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tied import tied_hessian
from seemant.compress.calibrate.tokens import Text, calibrating_part, sequences_of
from seemant.compress.config import CompressConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import method_of
from seemant.compress.plan import EMBEDDING, HEAD, OUTER
from seemant.compress.source import Source, gathered
from seemant.core.atomic import atomic_path
from seemant.core.progress import progress
from seemant.formats.blocks import dequantize_rows
from seemant.formats.tensor_format import (
    Format,
    Search,
    fit_format,
    pack_format,
    snap_format,
)
from seemant.models.tokenizer import tokenizer_of_metadata

TOKENS = 4096  # of text a language that inputs are weighed on, at most
ROWS = 16384  # of an embedding are rounded together
_ROOM = 8  # a disk keeps a tensor if it has so many times its bytes free

Values = Callable[[str, Format], NDArray[np.float32]]
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inputs:
    """importance: mean of x² by column of the blocks' matrices (C,), languages in equal parts.

    outer: the tensor that the head reads, the embedding where it is tied. hessian: its (C, C).
    """

    importance: dict[str, Array]
    outer: str
    hessian: Tensor


def rounded_values(config: CompressConfig, text: Text, source: Source, folder: Path) -> Values:
    """Return what gives a tensor's values in a format, float32 in the file's shape.

    A tensor is rounded once a format and lies packed in `folder` afterwards, for the mixes that
    ask for it again; a disk that has no room for it costs time alone.

    Raises:
        BadFile: text that lacks a language or is too short.
    """
    inputs = _read(config, text, source)

    def values(name: str, format: Format) -> Array:
        assert format.container is not None  # a search is refused one that no file stores
        path = folder / f"{name}.{format.name}"
        if path.is_file():
            stored = np.fromfile(path, np.uint8).reshape(source.file.tensors[name].shape[0], -1)
            return dequantize_rows(stored, format.container)
        if name == inputs.outer and not format.is_float:
            made = _by_method(config, source, name, format, inputs)
        else:
            made = _weighed(source, name, format, inputs)
        stored = np.concatenate([pack_format(*each, format) for each in made])
        if shutil.disk_usage(folder).free > _ROOM * stored.nbytes:
            with atomic_path(path) as unfinished:
                stored.tofile(unfinished)
        return dequantize_rows(stored, format.container)

    folder.mkdir(parents=True, exist_ok=True)
    return values


def rounding_name(config: CompressConfig) -> str:
    """Return how the measured values are rounded, for what is kept and told of them."""
    return f"importance, mse; embedding {config.outer_method}"


def _weighed(source: Source, name: str, format: Format, inputs: Inputs) -> Iterator[Quantised]:
    search: Search = "minmax" if name in OUTER else "mse"  # as the file's embedding
    for w in source.slices(name):  # rows are independent, and an embedding is large
        params = fit_format(w, format, search=search, importance=inputs.importance.get(name))
        yield Quantised(snap_format(w, params), params)


def _by_method(
    config: CompressConfig, source: Source, name: str, format: Format, inputs: Inputs
) -> Iterator[Quantised]:
    method = method_of(config.outer_method)
    for w in gathered(source.slices(name), ROWS):
        made = Matrix(name, w, format, config.outer_fit, inputs.hessian)
        yield method.run(made, config.method_config)


def _read(config: CompressConfig, text: Text, source: Source) -> Inputs:
    sequences = sequences_of(
        calibrating_part(text),
        tokenizer_of_metadata(source.file.metadata),
        config.languages,
        tokens=min(config.calibration_tokens, TOKENS),
        length=config.sequence,
        seed=config.seed,
        allow_gap=config.allow_language_gap,
    )
    stream = LayerStream(
        tensors_of(source),
        {str(lang): each for lang, each in sequences.items()},
        weights={lang: 1.0 for lang in sequences},
    )
    found: dict[str, Array] = {}
    with progress("importance", stream.tensors.shape.layers, "layers") as tick:
        for work in stream.layers():
            for name in work.weights:
                _, _, kind, part = name.split(".")
                if part == "weight" and kind in SITE_OF:
                    found[name] = work.moments[SITE_OF[kind]][MIXED].importance().numpy().copy()
            tick()
    tied = stream.tensors.shape.tied
    gain = stream.tensors.whole("blk.0.attn_norm.weight") if tied else None
    hessian = tied_hessian(mixed(stream.final()), config.embedding_share if tied else 0.0, gain)
    return Inputs(found, EMBEDDING if tied else HEAD, hessian)
