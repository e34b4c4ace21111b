"""Formats of matrices: what a matrix is rounded to, and how a file stores it. One face for all.

    "q4_0" "q4_1" "q5_0" "q5_1" "q8_0"     32 weights a scale, as GGUF stores them
    "q3_k" "q4_k" "q5_k" "q6_k"            256 weights a super-block, small groups of 16 or 32
    "int3-sym-g128" "int4-asym-channel"    any other grid; a GGUF layout holds some of them
    "f16"                                  rounded to half precision, no grid

Whatever the format, `Params` hold the effective grid of every small group: value = scale * q, or
scale * q + offset, bit for bit what the file's reader computes. So a method needs `fit_format` on a
block of columns, then `scale`, `offset`, `lowest` and `highest`, and never asks which format it is.

The law, tested: value_format(codes, params) equals value_format(*unpack_format(pack_format(codes,
params, f), f)) bit for bit. Every rounding of scales happens inside the fit, never later.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig, BadFile, nearest
from seemant.formats.grids import TOO_LARGE, Codes, Grid, Params, fit, grouped, snap, value, widened
from seemant.formats.kquants import LAYOUTS, SUPER, KParams, pack_k, unpack_k
from seemant.formats.packing import BLOCK, CONTAINERS, container_of, pack, unpack

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Search = Literal["minmax", "mse", "hqq"]

F16 = "f16"
K_NAMES = ("q3_k", "q4_k", "q5_k", "q6_k")  # q2_k is only read
_FREE = re.compile(r"int([2-8])-(sym|asym)-(?:g(\d+)|(channel))")


class FormatImpossible(BadConfig):
    """A row cannot be stored in the format: its width is no whole number of blocks."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a matrix is rounded to, and how it is stored.

    grid: bits, weights that share a scale (k-quants: 16 or 32), symmetric or not.
    block: columns that are fitted together: 32, 256 for k-quants, the group of a free grid; None:
        the whole row.
    container: the GGUF type that stores it ("Q4_0" also for 3 bits symmetric); None: no file can.
    """

    name: str
    grid: Grid
    block: int | None
    container: str | None

    @property
    def is_k(self) -> bool:
        """Whether it is a k-quant: small groups share a super-block's fp16 scale."""
        return self.name in K_NAMES

    @property
    def is_float(self) -> bool:
        """Whether it is half precision: codes are its bit patterns, there is no scale."""
        return self.name == F16

    @property
    def simulated(self) -> bool:
        """Whether no file is as small as the grid: too few bits for its layout, or no layout."""
        if self.is_k or self.is_float:
            return False
        return self.container is None or CONTAINERS[self.container].bits != self.grid.bits

    @property
    def bits_per_weight(self) -> float:
        """Bits a weight in the file, codes and scales; `ideal_bits` where no file can hold it."""
        if self.is_k:
            return 8 * LAYOUTS[self.name].n_bytes / SUPER
        if self.container in CONTAINERS:
            return 8 * CONTAINERS[self.container].n_bytes / BLOCK
        return self.ideal_bits

    @property
    def ideal_bits(self) -> float:
        """Bits a weight as if a layout of this width existed; the scales of whole rows left out."""
        if self.is_k:
            return 8 * LAYOUTS[self.name].n_bytes / SUPER
        if self.is_float or self.grid.group is None:
            return float(self.grid.bits)
        return self.grid.bits + (16 if self.grid.symmetric else 32) / self.grid.group


def format_of(name: str) -> Format:
    """Return the format of a name.

    Raises:
        BadConfig: no such format, with the nearest name.
    """
    key = name.lower()
    if key == F16:
        return Format(F16, Grid(16, None, True), None, "F16")
    if key in K_NAMES:
        return Format(key, LAYOUTS[key].grid, SUPER, key.upper())
    if key.upper() in CONTAINERS:
        return format_for(CONTAINERS[key.upper()].grid)
    match = _FREE.fullmatch(key)
    if match and (match[4] or int(match[3])):
        bits, kind, group = int(match[1]), match[2], match[3]
        return format_for(Grid(bits, int(group) if group else None, kind == "sym"))
    if key == "q2_k":
        raise BadConfig("q2_k is read here, not written", fix="q3_k is the smallest k-quant")
    known = [*NAMES, "int3-sym-g128", "int4-asym-channel"]
    raise BadConfig(f"no format {name!r}", fix=nearest(key, known))


def format_for(grid: Grid) -> Format:
    """Return the format of a grid: the 32-weight GGUF type of that very grid, or a free one."""
    container = container_of(grid) if (grid.group or BLOCK) % BLOCK == 0 else None
    if container is not None and CONTAINERS[container].grid == grid:
        return Format(container.lower(), grid, BLOCK, container)
    group = "channel" if grid.group is None else f"g{grid.group}"
    name = f"int{grid.bits}-{'sym' if grid.symmetric else 'asym'}-{group}"
    return Format(name, grid, grid.group, container)


def fits(format: Format, columns: int, *, name: str = "") -> None:
    """Check that rows of so many weights can be stored.

    Raises:
        FormatImpossible: names the tensor, its width, and the types that fit.
    """
    width = format.block or 1
    if format.container in CONTAINERS and format.block is None:
        width = BLOCK
    if columns % width == 0:
        return
    good = [n for n in NAMES if columns % (format_of(n).block or 1) == 0]
    groups = [g for g in (32, 64, 96, 128, 160, 192, 256) if columns % g == 0]
    raise FormatImpossible(
        f"{format.name} needs rows of a multiple of {width} weights, this one has {columns}",
        where=f"tensor {name}" if name else None,
        fix=f"types that fit: {', '.join(good)}; groups that divide it: "
        f"{', '.join(map(str, groups)) or 'none, so per channel'}",
    )


def fit_format(
    w: Array, format: Format, *, search: Search = "minmax", importance: Array | None = None
) -> Params:
    """Return the grids of a matrix, or of some of its columns.

    w: (R, C) finite float32; C is a multiple of `format.block`. importance: what a squared error
    counts, (C,) or (R, C), not negative; "minmax" and "hqq" do not look at it.

    Raises:
        FormatImpossible: C is no multiple of the block.
        BadFile: a scale is too large for fp16.
    """
    fits(format, w.shape[1])
    if format.is_float:
        if not (np.abs(w) <= np.finfo(np.float16).max).all():
            raise BadFile(
                f"weights of up to {np.abs(w).max():.3g} are too large for fp16", fix=TOO_LARGE
            )
        one = np.ones((len(w), 1, 1), np.float32)
        return Params(format.grid, one, None, one, None)
    groups = grouped(w, format.grid.group)
    weight = None if importance is None else _weights(importance, w, groups.shape)
    if format.is_k:
        from seemant.formats.kquant_fit import fit_k

        return fit_k(groups, format.name, search, weight)
    if search == "mse":
        from seemant.formats.grid_search import fit_mse

        return fit_mse(groups, format.grid, weight)
    if search == "hqq":
        from seemant.formats.hqq import fit_hqq

        return fit_hqq(groups, format.grid)
    return fit(groups, format.grid)


def snap_format(w: Array, params: Params) -> Codes:
    """Return the nearest codes of w (R, C), int16 (R, groups, group)."""
    if params.grid.bits == 16:
        return np.ascontiguousarray(w, np.float16).view(np.int16)[:, None, :]
    return snap(w.reshape(*params.scale.shape[:2], -1), params)


def value_format(codes: Codes, params: Params) -> Array:
    """Return the values of codes, float32 (R, C)."""
    if params.grid.bits == 16:
        halves = np.ascontiguousarray(codes, np.int16).view(np.float16)
        return widened(halves).reshape(len(codes), -1)
    return value(codes, params).reshape(len(codes), -1)


def pack_format(codes: Codes, params: Params, format: Format) -> Bytes:
    """Return the stored rows, uint8 (R, bytes a row).

    Raises:
        BadConfig: no GGUF layout holds the format.
    """
    if format.is_float:
        halves = np.ascontiguousarray(codes, "<i2")
        return halves.reshape(len(codes), -1).view(np.uint8)
    if format.is_k:
        assert isinstance(params, KParams)
        return pack_k(codes, params)
    return pack(codes, params, _container(format))


def unpack_format(raw: Bytes, format: Format) -> tuple[Codes, Params]:
    """Return codes, int16 (R, groups, group), and grids of stored rows; inverse of `pack_format`.

    Raises:
        BadConfig: no GGUF layout holds the format.
        BadFile: blocks that should share a scale have different ones.
    """
    if format.is_float:
        one = np.ones((len(raw), 1, 1), np.float32)
        bits = np.ascontiguousarray(raw).view("<i2").astype(np.int16)
        return bits[:, None, :], Params(format.grid, one, None, one, None)
    if format.is_k:
        return unpack_k(raw, format.name)
    codes, params = unpack(raw, _container(format))
    columns = codes.shape[1] * BLOCK
    width = format.grid.group or columns
    scale = _shared(params.scale, width)
    offset = None if params.offset is None else _shared(params.offset, width)
    return codes.reshape(len(codes), -1, width), Params.rounded(format.grid, scale, offset)


def joined(parts: Sequence[Params], axis: Literal[0, 1]) -> Params:
    """Return the grids of neighbouring rows (axis 0) or of neighbouring columns (1) as one."""
    first = parts[0]
    arrays: dict[str, Any] = {}
    for field in fields(first):
        if isinstance(getattr(first, field.name), np.ndarray):
            arrays[field.name] = np.concatenate([getattr(p, field.name) for p in parts], axis)
    return replace(first, **arrays)


def rows_of(params: Params, rows: slice) -> Params:
    """Return the grids of some rows; their arrays are views."""
    arrays: dict[str, Any] = {}
    for field in fields(params):
        if isinstance(array := getattr(params, field.name), np.ndarray):
            arrays[field.name] = array[rows]
    return replace(params, **arrays)


def stored_numbers(params: Params) -> list[NDArray[np.generic]]:
    """Return what a file keeps of the grids: fp16 scales and offsets, or of a k-quant its fp16
    super-scales and the integers of its small groups. For hashes.
    """
    if isinstance(params, KParams):
        return params.stored()
    both = [params.scale] + ([] if params.offset is None else [params.offset])
    return [part.astype("<f2") for part in both]


NAMES = (*(name.lower() for name in CONTAINERS), *K_NAMES, F16)


def _container(format: Format) -> str:
    if format.container is None:
        raise BadConfig(f"no GGUF layout holds {format.name}", fix="see formats.codes")
    return format.container


def _weights(importance: Array, w: Array, shape: tuple[int, ...]) -> Array:
    """Return weights of squared errors, (1 or R, groups, group)."""
    if importance.shape not in (w.shape, w.shape[1:]):
        raise ValueError(f"importance of shape {importance.shape} for weights {w.shape}")
    return np.asarray(importance, np.float32).reshape(-1, *shape[1:])


def _shared(numbers: Array, width: int) -> Array:
    repeated = numbers.reshape(len(numbers), -1, width // BLOCK)
    if (repeated.view(np.uint32) != repeated[..., :1].view(np.uint32)).any():
        raise BadFile("blocks of one group have different scales")
    return np.ascontiguousarray(repeated[..., :1])
