"""Codes of 4 or 8 bits in 32-bit words, the first code in the lowest bits: compressed-tensors'
packing, in which a code q of b bits is stored as q + 2^(b-1)."""

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Codes


def pack_words(codes: Codes, bits: int) -> NDArray[np.int32]:
    """Return signed codes (rows, columns) as int32 (rows, ceil(columns * bits / 32))."""
    unsigned = (codes.astype(np.int16) + (1 << (bits - 1))).astype(np.uint32)
    in_word = 32 // bits
    padded = np.pad(unsigned, ((0, 0), (0, -unsigned.shape[1] % in_word)))
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    words = (padded.reshape(len(codes), -1, in_word) << shifts).sum(-1, dtype=np.uint32)
    signed: NDArray[np.int32] = words.view(np.int32)
    return signed


def unpack_words(words: NDArray[np.int32], bits: int, columns: int) -> NDArray[np.int16]:
    """Return the codes, int16 (rows, columns), of packed rows; the inverse of `pack_words`."""
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    unsigned = (words.view(np.uint32)[..., None] >> shifts) & np.uint32((1 << bits) - 1)
    signed = unsigned.astype(np.int16) - np.int16(1 << (bits - 1))
    return signed.reshape(len(words), -1)[:, :columns]
