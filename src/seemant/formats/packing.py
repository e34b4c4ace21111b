"""Byte layouts of the 32-weight ggml blocks, both ways.

    Q8_0   34 bytes   d f16 @0, q int8 @2                          value d * q
    Q4_0   18 bytes   d f16 @0, nibbles @2                         value d * (n - 8)
    Q4_1   20 bytes   d f16 @0, m f16 @2, nibbles @4               value d * n + m
    Q5_0   22 bytes   d f16 @0, high bits u32 @2, nibbles @6       value d * (n - 16)
    Q5_1   24 bytes   d f16 @0, m f16 @2, high bits @4, nibbles @8 value d * n + m

Nibbles: byte j holds weight j in its low half and weight j + 16 in its high half. High bits: bit i
is the fifth bit of weight i. A scale that spans more than 32 weights is stored once a block.
A grid with fewer bits than its container has (3 bits in Q4_0) loses nothing and saves nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Codes, Grid, Params, widened

Bytes = NDArray[np.uint8]
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Container:
    """A block layout: bits a code, whether it has an offset, bytes a block."""

    bits: int
    symmetric: bool
    n_bytes: int

    @property
    def grid(self) -> Grid:
        """The grid that this layout holds by nature."""
        return Grid(self.bits, BLOCK, self.symmetric)


CONTAINERS = {
    "Q8_0": Container(8, True, 34),
    "Q4_0": Container(4, True, 18),
    "Q4_1": Container(4, False, 20),
    "Q5_0": Container(5, True, 22),
    "Q5_1": Container(5, False, 24),
}


def container_of(grid: Grid) -> str | None:
    """Return the smallest layout that holds this grid's codes, or None if no file can."""
    fitting = [
        (box.n_bytes, name)
        for name, box in CONTAINERS.items()
        if box.symmetric == grid.symmetric and box.bits >= grid.bits
    ]
    return min(fitting)[1] if fitting else None


def pack(codes: Codes, params: Params, container: str) -> Bytes:
    """Return the stored rows, uint8 (rows, bytes a row).

    codes (rows, groups, group) with group a multiple of 32; the law, tested:
    `value(*unpack(pack(codes, params, c), c))` equals `value(codes, params)` bit for bit.
    """
    box = CONTAINERS[container]
    rows, _, width = codes.shape
    blocks = codes.reshape(-1, BLOCK)
    out = np.empty((len(blocks), box.n_bytes), np.uint8)
    out[:, 0:2] = _halves(params.scale, width)
    at = 2
    if params.offset is not None:
        out[:, 2:4] = _halves(params.offset, width)
        at = 4
    if box.bits == 8:
        out[:, at:] = blocks.astype(np.int8).view(np.uint8)
        return out.reshape(rows, -1)
    n = (blocks - box.grid.lowest).astype(np.uint8)
    if box.bits == 5:
        out[:, at : at + 4] = np.packbits(n >> 4, axis=1, bitorder="little")
        at += 4
    out[:, at:] = (n[:, :16] & 15) | (n[:, 16:] << 4)
    return out.reshape(rows, -1)


def unpack(raw: Bytes, container: str) -> tuple[Codes, Params]:
    """Return codes, int16 (rows, blocks, 32), and parameters of stored rows."""
    box = CONTAINERS[container]
    rows = len(raw)
    blocks = np.ascontiguousarray(raw).reshape(-1, box.n_bytes)
    scale = _floats(blocks[:, 0:2], rows)
    offset = None if box.symmetric else _floats(blocks[:, 2:4], rows)
    codes = _codes(blocks, box).astype(np.int16).reshape(rows, -1, BLOCK)
    return codes, Params.rounded(box.grid, scale, offset)


def unpack_values(raw: Bytes, container: str) -> NDArray[np.float32]:
    """Return the values of stored rows, float32 (rows, columns): the fast way of reading."""
    box = CONTAINERS[container]
    rows = len(raw)
    blocks = np.ascontiguousarray(raw).reshape(-1, box.n_bytes)
    out = _codes(blocks, box).astype(np.float32)
    with np.errstate(invalid="ignore"):  # a damaged file may hold an infinite scale
        out *= blocks[:, 0:2].copy().view("<f2").astype(np.float32)
        if not box.symmetric:
            out += blocks[:, 2:4].copy().view("<f2").astype(np.float32)
    return out.reshape(rows, -1)


def _codes(blocks: Bytes, box: Container) -> NDArray[np.int8]:
    """Return the signed codes, int8 (blocks, 32)."""
    if box.bits == 8:
        return blocks[:, 2:].view(np.int8)
    nibbles = blocks[:, -16:]
    n = np.concatenate([nibbles & 15, nibbles >> 4], axis=1)
    if box.bits == 5:
        high = blocks[:, -20:-16]
        n |= np.unpackbits(np.ascontiguousarray(high), axis=1, bitorder="little") << 4
    return n.view(np.int8) + np.int8(box.grid.lowest)


def _halves(numbers: NDArray[np.float32], width: int) -> Bytes:
    """Return fp16 values (rows, groups, 1) as bytes, one pair for each block of 32."""
    return np.repeat(numbers.astype("<f2").reshape(-1, 1), width // BLOCK, axis=0).view(np.uint8)


def _floats(pairs: Bytes, rows: int) -> NDArray[np.float32]:
    return widened(pairs.copy().view("<f2")).reshape(rows, -1, 1)
