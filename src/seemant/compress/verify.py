"""Verification: the written file is opened again, and its integers are those that were chosen."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import IntegerHash, TensorAccount
from seemant.compress.plan import TensorPlan
from seemant.formats.codes import iterate_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Codes, Grid, Params, Weights
from seemant.formats.packing import BLOCK, unpack

_SLICE_BYTES = 1 << 19


class VariantMismatch(RuntimeError):
    """A file holds other integers than were chosen: a mistake of ours, never of the user."""


def verify_model(
    path: Path, plan: Mapping[str, TensorPlan], accounts: Mapping[str, TensorAccount]
) -> None:
    """Check a written GGUF file, tensor by tensor.

    Raises:
        VariantMismatch: names the first tensor that differs.
    """
    file = open_gguf(path)
    if list(file.tensors) != list(plan):
        raise VariantMismatch(f"{path} holds other tensors than were planned")
    for name, fate in plan.items():
        if fate.grid is not None and fate.container is not None:
            tensor = file.tensors[name]
            found = integers_of(tensor.raw(), tensor.type_name, fate.grid)
            _compare(name, found, accounts[name])


def verify_codes(
    path: Path, plan: Mapping[str, TensorPlan], accounts: Mapping[str, TensorAccount]
) -> None:
    """Check a written codes file in the same way."""
    rounded = {name: fate.grid for name, fate in plan.items() if fate.grid is not None}
    seen = set()
    for name, (first, second) in iterate_codes(path):
        if isinstance(first, str):
            assert isinstance(second, np.ndarray)
            found = integers_of(second, first, rounded[name])
        else:
            assert isinstance(second, Params)
            running = IntegerHash()
            running.add(first, second)
            found = running.hexdigest()
        _compare(name, found, accounts[name])
        seen.add(name)
    if seen != set(rounded):
        raise VariantMismatch(f"{path} holds other tensors than were planned")


def integers_of(raw: NDArray[np.uint8], layout: str, grid: Grid) -> str:
    """Return the hash of stored rows' integers, as groups of `grid`; see `IntegerHash`."""
    step = max(1, _SLICE_BYTES // raw.shape[1])
    running = IntegerHash()
    for start in range(0, len(raw), step):
        codes, params = unpack(raw[start : start + step], layout)
        running.add(*regroup(codes, params, grid))
    return running.hexdigest()


def regroup(codes: Codes, params: Params, grid: Grid) -> tuple[Codes, Params]:
    """Return blocks of 32 as groups of the grid that was chosen; repeated scales count once.

    Raises:
        VariantMismatch: blocks of one group differ in their scale.
    """
    rows = len(codes)
    columns = codes.shape[1] * BLOCK
    width = grid.group or columns
    scale = _once(params.scale, rows, width)
    offset = None if params.offset is None else _once(params.offset, rows, width)
    return codes.reshape(rows, columns // width, width), Params.rounded(grid, scale, offset)


def _once(numbers: Weights, rows: int, width: int) -> Weights:
    repeated = numbers.reshape(rows, -1, width // BLOCK)
    if (repeated != repeated[..., :1]).any():
        raise VariantMismatch("blocks of one group have different scales")
    return np.ascontiguousarray(repeated[..., :1])


def _compare(name: str, found: str, account: TensorAccount) -> None:
    if found != account.integers.hexdigest():
        raise VariantMismatch(f"tensor {name} was written with other integers than were chosen")
