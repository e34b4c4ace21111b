"""The values that a search measures: every matrix in every format of its menu, rounded as asked.

Layer by layer the method of the file rounds a layer's matrices in all their formats, and keeps them
packed on disk; the embedding comes last, by its own method. A table of another rounding would spend
the budget wrongly: error feedback takes most of the blocks' damage off, and with it their claim to
bytes. Inputs are those of the float model here; in the file a layer sees rounded ones before it.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.calibrate.hessians import mixed
from seemant.compress.calibrate.stream import SITE_OF, LayerStream
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tied import tied_hessian
from seemant.compress.calibrate.tokens import Text, calibrating_part, sequences_of
from seemant.compress.config import CompressConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import method_of
from seemant.compress.plan import EMBEDDING, HEAD
from seemant.compress.search.groups import Group
from seemant.compress.source import Source, gathered
from seemant.core.atomic import atomic_path
from seemant.core.errors import DiskFull
from seemant.core.progress import progress
from seemant.formats.blocks import dequantize_rows
from seemant.formats.tensor_format import Format, pack_format
from seemant.models.tokenizer import tokenizer_of_metadata

TOKENS = 4096  # of text a language that are calibrated on, at most
ROWS = 16384  # of an embedding are rounded together

Values = Callable[[str, Format], NDArray[np.float32]]
Pieces = Callable[[Format], Iterator[Quantised]]
"""A tensor rounded to a format, a few rows at a time."""


def rounded_values(
    config: CompressConfig, text: Text, source: Source, groups: Sequence[Group], folder: Path
) -> Values:
    """Round all that a search may ask for into `folder`; return what reads it there.

    Values are float32 in the file's shape. A killed run goes on at the first that is missing.

    Raises:
        BadFile: text that lacks a language or is too short.
        BadConfig: a format that the method cannot do.
        DiskFull: all formats together do not fit on the disk.
    """
    menus = {name: group.menu(config.menu) for group in groups for name in group.shapes}
    folder.mkdir(parents=True, exist_ok=True)
    _check_room(folder, sum(g.n_bytes(each) for g in groups for each in g.menu(config.menu)))
    stream = _stream(config, text, source)
    with progress("round for the search", stream.tensors.shape.layers + 1, "layers") as tick:
        for work in stream.layers():
            hessians = {site: mixed(found) for site, found in work.moments.items() if found}
            for name in menus.keys() & work.weights.keys():
                hessian = hessians.get(SITE_OF[name.split(".")[2]])
                _keep(folder, name, menus[name], _block(config, name, work.weights[name], hessian))
            tick()
        for name in menus.keys() & {EMBEDDING, HEAD}:
            _keep(folder, name, menus[name], _outer(config, stream, source, name))
        tick()

    def values(name: str, format: Format) -> NDArray[np.float32]:
        assert format.container is not None  # a menu holds what a file can store
        stored = np.fromfile(_place(folder, name, format), np.uint8)
        return dequantize_rows(
            stored.reshape(source.file.tensors[name].shape[0], -1), format.container
        )

    return values


def rounding_name(config: CompressConfig) -> str:
    """Return how the measured values are rounded, for what is kept and told of them."""
    blocks = f"{config.method}, {config.fit}, float inputs"
    return f"{blocks}; embedding {config.outer_method}, {config.outer_fit}"


def _block(config: CompressConfig, name: str, weight: Tensor, hessian: Tensor | None) -> Pieces:
    method = method_of(config.method)

    def pieces(format: Format) -> Iterator[Quantised]:
        matrix = Matrix(name, weight.numpy(), format, config.fit, hessian)
        yield method.run(matrix, config.method_config)

    return pieces


def _outer(config: CompressConfig, stream: LayerStream, source: Source, name: str) -> Pieces:
    """Return the embedding or the head as the file's is rounded; an untied table by no Hessian."""
    tied = stream.tensors.shape.tied
    gain = stream.tensors.whole("blk.0.attn_norm.weight") if tied else None
    hessian = tied_hessian(mixed(stream.final()), config.embedding_share if tied else 0.0, gain)
    method, fit = method_of(config.outer_method), config.outer_fit
    if name == EMBEDDING and not tied and method.needs != "weights":
        method, fit = method_of("rtn"), "minmax"

    def pieces(format: Format) -> Iterator[Quantised]:
        at = 0
        for w in gathered(source.slices(name), ROWS):
            matrix = Matrix(name, w, format, fit, hessian, first_row=at)
            yield method.run(matrix, config.method_config)
            at += len(w)

    return pieces


def _keep(folder: Path, name: str, menu: Sequence[Format], pieces: Pieces) -> None:
    for format in menu:
        path = _place(folder, name, format)
        if not path.is_file():
            with atomic_path(path) as unfinished, unfinished.open("wb") as file:
                for each in pieces(format):
                    pack_format(*each, format).tofile(file)


def _place(folder: Path, name: str, format: Format) -> Path:
    return folder / f"{name}.{format.name}"


def _check_room(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DiskFull(
            f"a search keeps every matrix in every format: {need / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free",
            where=str(folder),
            fix="free some space, or give fewer formats (--menu)",
        )


def _stream(config: CompressConfig, text: Text, source: Source) -> LayerStream:
    sequences = sequences_of(
        calibrating_part(text),
        tokenizer_of_metadata(source.file.metadata),
        config.languages,
        tokens=min(config.calibration_tokens, TOKENS),
        length=config.sequence,
        seed=config.seed,
        allow_gap=config.allow_language_gap,
    )
    return LayerStream(
        tensors_of(source),
        {str(lang): each for lang, each in sequences.items()},
        weights={lang: 1.0 for lang in sequences},
    )
