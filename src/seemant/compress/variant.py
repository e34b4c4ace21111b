"""Making the variant's file: rounding and packing slice by slice while the file is written."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import TensorAccount
from seemant.compress.plan import TensorPlan
from seemant.compress.rtn import rtn
from seemant.compress.source import Source
from seemant.formats.codes import save_codes
from seemant.formats.ggml_types import row_bytes
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.grids import Codes, Grid, Params, value
from seemant.formats.packing import pack

Done = Callable[[str], None]


def write_model(
    path: Path,
    source: Source,
    plan: Mapping[str, TensorPlan],
    metadata: Mapping[str, MetaValue],
    done: Done,
) -> dict[str, TensorAccount]:
    """Write the variant as a GGUF file, whole or not at all, and return each tensor's account.

    At no time is more than a slice of a tensor in memory beside the merged adapter. `done(name)` is
    called as tensors are finished.
    """
    accounts = {name: TensorAccount(fate.kind) for name, fate in plan.items()}

    def stored(name: str) -> Callable[[], Iterator[NDArray[np.generic]]]:
        def pieces() -> Iterator[NDArray[np.generic]]:
            fate = plan[name]
            for w in source.slices(name):
                if fate.grid is None or fate.container is None:
                    accounts[name].add_kept(w)
                    yield w.astype("<f4")
                else:
                    codes, params = _round(w, fate.grid, name, accounts[name])
                    yield pack(codes, params, fate.container)
            done(name)

        return pieces

    tensors = {
        name: TensorData(fate.container or "F32", source.file.tensors[name].shape, stored(name))
        for name, fate in plan.items()
    }
    write_gguf(path, metadata, tensors)
    return accounts


def write_codes(
    path: Path, source: Source, plan: Mapping[str, TensorPlan], done: Done
) -> dict[str, TensorAccount]:
    """Write a torch-only variant: codes and scales as safetensors; kept tensors stay in the base.

    Rows that fit a layout (the embedding) are stored in it.
    """
    accounts = {name: TensorAccount(fate.kind) for name, fate in plan.items()}
    coded: dict[str, tuple[Codes, Params]] = {}
    blocks: dict[str, tuple[str, NDArray[np.uint8]]] = {}
    for name, fate in plan.items():
        account = accounts[name]
        if fate.grid is None:
            for w in source.slices(name):
                account.add_kept(w)
        elif fate.container is None:
            coded[name] = _joined(_round(w, fate.grid, name, account) for w in source.slices(name))
        else:
            shape = source.file.tensors[name].shape
            stored = np.empty((shape[0], row_bytes(fate.container, shape[1])), np.uint8)
            at = 0
            for w in source.slices(name):
                codes, params = _round(w, fate.grid, name, account)
                stored[at : at + len(w)] = pack(codes, params, fate.container)
                at += len(w)
            blocks[name] = (fate.container, stored)
        done(name)
    save_codes(path, coded, blocks)
    return accounts


def _round(
    w: NDArray[np.float32], grid: Grid, name: str, account: TensorAccount
) -> tuple[Codes, Params]:
    codes, params = rtn(w, grid, name=name)
    account.add_rounded(w, value(codes, params).reshape(w.shape), codes, params)
    return codes, params


def _joined(pieces: Iterator[tuple[Codes, Params]]) -> tuple[Codes, Params]:
    """Return slices of one matrix as one; codes in one byte each, as they are stored."""
    codes, scales, offsets = [], [], []
    for piece, params in pieces:
        grid = params.grid
        codes.append(piece.astype(np.int8 if grid.symmetric else np.uint8))
        scales.append(params.scale)
        if params.offset is not None:
            offsets.append(params.offset)
    offset = np.concatenate(offsets) if offsets else None
    return np.concatenate(codes), Params.rounded(grid, np.concatenate(scales), offset)
