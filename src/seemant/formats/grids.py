"""Quantisation grids: which values a group of weights may take, and the nearest of them.

Symmetric, b bits:   value = d * q,      q in [-2^(b-1), 2^(b-1) - 1]
Asymmetric, b bits:  value = d * q + m,  q in [0, 2^b - 1]

d and m are rounded to fp16 inside `fit`, never later, so that the values computed here are the
values of the file. Weights are multiplied by the reciprocal of d as it was *before* that rounding
(as llama.cpp does): with groups of 32 our codes and bytes are those of its own quantisers.

The symmetric d is signed: the largest |w| of the group lands on -2^(b-1), so no level is wasted.
With 8 bits it follows Q8_0 instead: d = max|w| / 127, codes within +-127.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig, BadFile

TOO_LARGE = (
    "weights this large are damage, as a rule: look where the model was made or merged; of the "
    "formats q8_0 takes the largest, up to 8e6"
)

Weights = NDArray[np.float32]  # (rows, groups, weights a group)
Codes = NDArray[np.signedinteger | np.unsignedinteger]  # the same shape; int16 where fresh


@dataclass(frozen=True, slots=True)
class Grid:
    """A family of grids.

    bits: 2..8 a weight.
    group: how many neighbouring weights of a row share a scale; None: the whole row (per channel).
    symmetric: without (True) or with (False) an offset m.
    """

    bits: int
    group: int | None
    symmetric: bool

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return -(1 << (self.bits - 1)) if self.symmetric else 0

    @property
    def highest(self) -> int:
        """The largest code."""
        return (1 << (self.bits - self.symmetric)) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Params:
    """The fitted grid of every group; all arrays are float32 (rows, groups, 1).

    scale, offset: d and m; their values are fp16 values. offset is None when symmetric.
    inverse, start: what `snap` multiplies by and subtracts first: 1/d and m before rounding.
    """

    grid: Grid
    scale: Weights
    offset: Weights | None
    inverse: Weights
    start: Weights | None

    @classmethod
    def rounded(cls, grid: Grid, scale: Weights, offset: Weights | None) -> "Params":
        """Return parameters of which only the fp16 values are known, as read from a file."""
        return cls(grid, scale, offset, reciprocal(scale), offset)


def grouped(w: NDArray[np.float32], group: int | None, *, name: str = "") -> Weights:
    """Return a matrix (rows, columns) as (rows, groups, group); None: one group a row.

    Raises:
        BadConfig: the group does not divide the row; names the tensor and what would fit.
    """
    rows, columns = w.shape
    width = group or columns
    if columns % width:
        fits = [g for g in (32, 64, 96, 128, 160, 192, 256) if columns % g == 0]
        raise BadConfig(
            f"group {width} does not divide a row of {columns} weights",
            where=f"tensor {name}" if name else None,
            fix=f"use a group that fits ({', '.join(map(str, fits)) or columns}), or per channel",
        )
    return w.reshape(rows, columns // width, width)


def fit(w: Weights, grid: Grid) -> Params:
    """Return the min-max grid of every group of w (rows, groups, group), finite float32.

    Raises:
        BadFile: a scale is too large for fp16.
    """
    scale, offset = _symmetric(w, grid) if grid.symmetric else _asymmetric(w, grid)
    scale16, offset16 = half(scale), None if offset is None else half(offset)
    if not np.isfinite(scale16).all() or (offset16 is not None and not np.isfinite(offset16).all()):
        raise BadFile(
            f"weights of up to {np.abs(w).max():.3g} need a scale too large for fp16", fix=TOO_LARGE
        )
    return Params(grid, scale16, offset16, reciprocal(scale), offset)


def snap(w: Weights, params: Params) -> Codes:
    """Return the nearest code of every weight, int16, clipped to the grid's range.

    Halves are rounded as ggml's quantisers do: away from zero with Q8_0's rule, else upwards.
    """
    grid = params.grid
    if _like_q8_0(grid):
        scaled = w * params.inverse
        size = np.abs(scaled)
        whole = np.floor(size)
        whole += np.floor(2 * (size - whole))  # floor(size + .5) errs just under a half
        codes = np.copysign(whole, scaled)
    elif params.start is None:
        shift = np.float32(0.5 - grid.lowest)
        codes = np.trunc(w * params.inverse + shift) + np.float32(grid.lowest)
    else:
        codes = np.trunc((w - params.start) * params.inverse + np.float32(0.5))
    clipped: Codes = np.clip(codes, grid.lowest, grid.highest).astype(np.int16)
    return clipped


def value(codes: Codes, params: Params) -> Weights:
    """Return the values of codes, float32 (rows, groups, group): d * q, or d * q + m."""
    out = codes.astype(np.float32)
    with np.errstate(invalid="ignore"):  # a damaged file may hold an infinite scale
        out *= params.scale
        if params.offset is not None:
            out += params.offset
    return out


def reciprocal(scale: Weights) -> Weights:
    """Return 1/scale; 0 where the scale is 0 or so small that its reciprocal overflows."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = np.float32(1) / scale
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def widened(halves: NDArray[Any]) -> NDArray[np.float32]:
    """Return fp16 values as float32; ARM calls a signalling NaN of a damaged file invalid."""
    with np.errstate(invalid="ignore"):
        return halves.astype(np.float32)


def half(x: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the nearest fp16 values, as float32; infinite where they are too large."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def _like_q8_0(grid: Grid) -> bool:
    return grid.symmetric and grid.bits == 8


def _symmetric(w: Weights, grid: Grid) -> tuple[Weights, None]:
    if _like_q8_0(grid):
        return np.abs(w).max(-1, keepdims=True) / np.float32(127), None
    at = np.abs(w).argmax(-1)[..., None]  # the first of equals, as ggml takes it
    return np.take_along_axis(w, at, -1) / np.float32(grid.lowest), None


def _asymmetric(w: Weights, grid: Grid) -> tuple[Weights, Weights]:
    low, high = w.min(-1, keepdims=True), w.max(-1, keepdims=True)
    return (high - low) / np.float32(grid.highest), low
