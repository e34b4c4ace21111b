"""The bit planes of k-quants: 256 codes to bytes and back, and 6-bit scales.

A super-block's weight e lies in half h = e // 128. `n` is blocks everywhere; codes are uint8 (n,
256) from 0.
"""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Bits = NDArray[np.integer]  # uint8 in fact: numpy's stubs widen what `>>` and `&` return


def join1(codes: Bits) -> Bytes:
    """Return one bit a weight, (n, 32): bit j of byte l is weight 32 j + l."""
    return np.packbits(codes.reshape(-1, 8, 32), axis=1, bitorder="little").reshape(-1, 32)


def split1(raw: Bytes) -> Bytes:
    """Return the codes of `join1`."""
    planes = np.unpackbits(np.ascontiguousarray(raw)[:, None], axis=1, bitorder="little")
    return planes.reshape(-1, 256)


def join2(codes: Bits) -> Bytes:
    """Return two bits a weight, (n, 64): byte 32 h + l has weight 128 h + 32 p + l at bit 2 p."""
    p = codes.reshape(-1, 2, 4, 32)
    joined = p[:, :, 0] | p[:, :, 1] << 2 | p[:, :, 2] << 4 | p[:, :, 3] << 6
    return joined.reshape(-1, 64).astype(np.uint8, copy=False)


def split2(raw: Bytes) -> Bytes:
    """Return the codes of `join2`."""
    halves = raw.reshape(-1, 2, 32)
    out = np.empty((len(halves), 2, 4, 32), np.uint8)
    for p in range(4):
        np.bitwise_and(halves >> 2 * p, 3, out=out[:, :, p])
    return out.reshape(-1, 256)


def join4(codes: Bits, run: int) -> Bytes:
    """Return nibbles, (n, 128): of every 2 runs of weights the first low, the second high.

    run: 32 in Q4_K and Q5_K, 64 in Q6_K.
    """
    p = codes.reshape(-1, 128 // run, 2, run)
    return (p[:, :, 0] | p[:, :, 1] << 4).reshape(-1, 128).astype(np.uint8, copy=False)


def split4(raw: Bytes, run: int) -> Bytes:
    """Return the codes of `join4`."""
    runs = raw.reshape(-1, 128 // run, run)
    out = np.empty((len(runs), 128 // run, 2, run), np.uint8)
    np.bitwise_and(runs, 15, out=out[:, :, 0])
    np.right_shift(runs, 4, out=out[:, :, 1])
    return out.reshape(-1, 256)


def join6(scales: NDArray[np.int16]) -> Bytes:
    """Return Q3_K's 16 scales of 6 bits, given from 0, as 12 bytes."""
    s = scales.astype(np.uint8)
    low = s[:, :8] & 15 | (s[:, 8:] & 15) << 4
    top = (s >> 4).reshape(-1, 4, 4)
    high = top[:, 0] | top[:, 1] << 2 | top[:, 2] << 4 | top[:, 3] << 6
    return np.concatenate([low, high], axis=1)


def split6(raw: Bytes) -> NDArray[np.int8]:
    """Return Q3_K's 16 scales, from 0, int8 (n, 16)."""
    low = np.concatenate([raw[:, :8] & 15, raw[:, :8] >> 4], axis=1)
    high = np.concatenate([raw[:, 8:] >> 2 * p & 3 for p in range(4)], axis=1)
    whole: NDArray[np.int8] = (low | high << 4).astype(np.int8, copy=False)
    return whole


def join_scales(sub: NDArray[np.int16], sub_min: NDArray[np.int16]) -> Bytes:
    """Return Q4_K's 8 scales and 8 mins of 6 bits as 12 bytes: the upper four of each are split,
    low halves in the last four bytes, top bits above the lower four.
    """
    sc, mn = sub.astype(np.uint8), sub_min.astype(np.uint8)
    first = sc[:, :4] | sc[:, 4:] >> 4 << 6
    second = mn[:, :4] | mn[:, 4:] >> 4 << 6
    third = sc[:, 4:] & 15 | (mn[:, 4:] & 15) << 4
    return np.concatenate([first, second, third], axis=1)


def split_scales(raw: Bytes) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return Q4_K's scales and mins, int8 (n, 8) each."""
    first, second, third = raw[:, :4], raw[:, 4:8], raw[:, 8:12]
    sc = np.concatenate([first & 63, third & 15 | first >> 6 << 4], axis=1)
    mn = np.concatenate([second & 63, third >> 4 | second >> 6 << 4], axis=1)
    return sc.view(np.int8), mn.view(np.int8)
