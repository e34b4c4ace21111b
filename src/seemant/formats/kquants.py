"""k-quants: 256 weights share an fp16 scale, small groups of 16 or 32 an integer multiple of it.

    Q2_K   84 bytes   scales @0, 2-bit @16, d @80, dmin @82          read only
    Q3_K  110 bytes   high bits @0, 2-bit @32, scales 6-bit @96, d @108
    Q4_K  144 bytes   d @0, dmin @2, scales and mins 6-bit @4, nibbles @16
    Q5_K  176 bytes   d @0, dmin @2, scales and mins 6-bit @4, high bits @16, nibbles @48
    Q6_K  210 bytes   nibbles @0, 2-bit @128, scales int8 @192, d @208

    value = (d * sc_j) * q                      Q3_K (q in -4..3), Q6_K (q in -32..31)
    value = (d * sc_j) * q - (dmin * mn_j)      Q4_K, Q5_K, Q2_K (q from 0)

All products are exact in float32 (11 + 8 + 6 bits at most), so their order does not matter.
The bytes of codes are in `kquant_bits`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seemant.formats import kquant_bits as bits
from seemant.formats.grids import Codes, Grid, Params, Weights, reciprocal, widened

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int16]

SUPER = 256


class Layout(NamedTuple):
    """A k-quant: bits a code, weights of a small group, whether symmetric, bytes of 256 weights,
    and the range of its small groups' scales and mins.
    """

    bits: int
    group: int
    symmetric: bool
    n_bytes: int
    lowest: int
    highest: int

    @property
    def grid(self) -> Grid:
        """The grid of its small groups."""
        return Grid(self.bits, self.group, self.symmetric)


LAYOUTS = {
    "q2_k": Layout(2, 16, False, 84, 0, 15),
    "q3_k": Layout(3, 16, True, 110, -32, 31),
    "q4_k": Layout(4, 32, False, 144, 0, 63),
    "q5_k": Layout(5, 32, False, 176, 0, 63),
    "q6_k": Layout(6, 16, True, 210, -128, 127),
}


@dataclass(frozen=True, slots=True, eq=False)
class KParams(Params):
    """The effective grids of the small groups, and what the file keeps of them.

    kind: "q4_k", ...
    d, dmin: fp16 values in float32, (rows, super-blocks, 1); dmin is None where symmetric.
    sub, sub_min: the small groups' integers sc and mn, int16 (rows, groups, 1).
    """

    kind: str
    d: Weights
    dmin: Weights | None
    sub: Integers
    sub_min: Integers | None

    @classmethod
    def of(
        cls,
        kind: str,
        d: Weights,
        dmin: Weights | None,
        sub: Integers,
        sub_min: Integers | None,
    ) -> "KParams":
        """Return the parameters of stored numbers: scale = d * sc, offset = -(dmin * mn)."""
        scale = _spread(d, sub)
        offset = None if dmin is None or sub_min is None else -_spread(dmin, sub_min)
        grid = LAYOUTS[kind].grid
        return cls(grid, scale, offset, reciprocal(scale), offset, kind, d, dmin, sub, sub_min)

    def stored(self) -> list[NDArray[np.generic]]:
        """Return the numbers that a file keeps: fp16 d (and dmin), int8 sc (and mn)."""
        halves = [x.astype("<f2") for x in (self.d, self.dmin) if x is not None]
        return halves + [x.astype(np.int8) for x in (self.sub, self.sub_min) if x is not None]


def pack_k(codes: Codes, params: KParams) -> Bytes:
    """Return the stored rows, uint8 (rows, bytes a row), of codes (rows, groups, group)."""
    layout = LAYOUTS[params.kind]
    blocks = (codes.reshape(-1, SUPER) - layout.grid.lowest).astype(np.uint8)
    n = len(blocks)
    d = params.d.astype("<f2").reshape(n, 1).view(np.uint8)
    sub = params.sub.reshape(n, -1)
    parts: list[Bytes]
    if params.kind == "q3_k":
        parts = [bits.join1(blocks >> 2), bits.join2(blocks & 3), bits.join6(sub + 32), d]
    elif params.kind == "q6_k":
        scales = sub.astype(np.int8).view(np.uint8)
        parts = [bits.join4(blocks & 15, 64), bits.join2(blocks >> 4), scales, d]
    else:
        assert params.dmin is not None and params.sub_min is not None
        dmin = params.dmin.astype("<f2").reshape(n, 1).view(np.uint8)
        scales = bits.join_scales(sub, params.sub_min.reshape(n, -1))
        high = [bits.join1(blocks >> 4)] if params.kind == "q5_k" else []
        parts = [d, dmin, scales, *high, bits.join4(blocks & 15, 32)]
    return np.concatenate(parts, axis=1).reshape(len(codes), -1)


def unpack_k(raw: Bytes, kind: str) -> tuple[Codes, KParams]:
    """Return codes, int16 (rows, groups, group), and parameters of stored rows."""
    rows, layout = len(raw), LAYOUTS[kind]
    blocks = np.ascontiguousarray(raw).reshape(-1, layout.n_bytes)
    d, dmin, sub, sub_min = (
        None if x is None else x.reshape(rows, -1, 1) for x in _stored(blocks, kind)
    )
    assert d is not None and sub is not None
    codes = _codes(blocks, kind).view(np.int8).astype(np.int16) + np.int16(layout.grid.lowest)
    params = KParams.of(
        kind,
        widened(d),
        None if dmin is None else widened(dmin),
        sub.astype(np.int16),
        None if sub_min is None else sub_min.astype(np.int16),
    )
    return codes.reshape(rows, -1, layout.group), params


def unpack_k_values(raw: Bytes, kind: str) -> NDArray[np.float32]:
    """Return the values of stored rows, float32 (rows, columns): the fast way of reading."""
    layout = LAYOUTS[kind]
    blocks = np.ascontiguousarray(raw).reshape(-1, layout.n_bytes)
    d, dmin, sub, sub_min = _stored(blocks, kind)
    codes = _codes(blocks, kind).view(np.int8)
    codes += np.int8(layout.grid.lowest)
    out = codes.reshape(*sub.shape, layout.group).astype(np.float32)
    with np.errstate(invalid="ignore"):  # a damaged file may hold an infinite scale
        out *= (d.astype(np.float32) * sub.astype(np.float32))[..., None]
        if dmin is not None and sub_min is not None:
            out -= (dmin.astype(np.float32) * sub_min.astype(np.float32))[..., None]
    return out.reshape(len(raw), -1)


def _codes(blocks: Bytes, kind: str) -> bits.Bits:
    """Return the codes as stored, from 0, uint8 (blocks, 256)."""
    if kind == "q2_k":
        return bits.split2(blocks[:, 16:80])
    if kind == "q3_k":
        return bits.split2(blocks[:, 32:96]) | bits.split1(blocks[:, :32]) << 2
    if kind == "q6_k":
        return bits.split4(blocks[:, :128], 64) | bits.split2(blocks[:, 128:192]) << 4
    low = bits.split4(blocks[:, -128:], 32)
    return low if kind == "q4_k" else low | bits.split1(blocks[:, 16:48]) << 4


def _stored(
    blocks: Bytes, kind: str
) -> tuple[
    NDArray[np.float16], NDArray[np.float16] | None, NDArray[np.int8], NDArray[np.int8] | None
]:
    """Return d and dmin, fp16 (blocks, 1), and sc and mn, int8 (blocks, small groups)."""
    if kind == "q2_k":
        scales = blocks[:, :16]
        low, high = (scales & 15).view(np.int8), (scales >> 4).view(np.int8)
        return _half(blocks, 80), _half(blocks, 82), low, high
    if kind == "q3_k":
        return _half(blocks, 108), None, bits.split6(blocks[:, 96:108]) - np.int8(32), None
    if kind == "q6_k":
        return _half(blocks, 208), None, blocks[:, 192:208].copy().view(np.int8), None
    return _half(blocks, 0), _half(blocks, 2), *bits.split_scales(blocks[:, 4:16])


def _half(blocks: Bytes, at: int) -> NDArray[np.float16]:
    return blocks[:, at : at + 2].copy().view("<f2")


def _spread(d: Weights, sub: Integers) -> Weights:
    """Return d * sc for every small group, float32 (rows, groups, 1)."""
    rows, supers = d.shape[:2]
    with np.errstate(invalid="ignore"):
        products = d * sub.reshape(rows, supers, -1).astype(np.float32)
    return products.reshape(rows, -1, 1)
