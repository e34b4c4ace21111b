"""The values of stored blocks: any readable ggml type to float32, row by row."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import widened
from seemant.formats.kquants import LAYOUTS, unpack_k_values
from seemant.formats.packing import CONTAINERS, unpack_values

Bytes = NDArray[np.uint8]
Values = NDArray[np.float32]

_AT_ONCE_BYTES = 4 << 20  # rows are worked on in pieces that stay in the cache


def dequantize_rows(raw: Bytes, type_name: str) -> Values:
    """Return the values, float32 (rows, columns), of stored rows, uint8 (rows, bytes a row).

    The 32-weight types and the k-quants are ours; the rest is read by gguf-py.

    Raises:
        NotImplementedError: nothing here can read this type.
    """
    read = _reader(type_name)
    step = max(1, _AT_ONCE_BYTES // max(1, raw.shape[1]))
    if raw.shape[0] <= step:
        return read(raw)
    first = read(raw[:step])
    out = np.empty((raw.shape[0], first.shape[1]), np.float32)
    out[:step] = first
    for start in range(step, raw.shape[0], step):
        out[start : start + step] = read(raw[start : start + step])
    return out


def _reader(type_name: str) -> Callable[[Bytes], Values]:
    if type_name == "F32":
        return lambda raw: raw.view("<f4").astype(np.float32)  # a copy: the file is read-only
    if type_name == "F16":
        return lambda raw: widened(raw.view("<f2"))
    if type_name == "BF16":
        return lambda raw: (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if type_name in CONTAINERS:
        return lambda raw: unpack_values(raw, type_name)
    if type_name.lower() in LAYOUTS:
        return lambda raw: unpack_k_values(raw, type_name.lower())
    return lambda raw: _by_gguf(raw, type_name)


def _by_gguf(raw: Bytes, type_name: str) -> Values:
    from gguf import GGMLQuantizationType, quants

    values = quants.dequantize(raw, GGMLQuantizationType[type_name])
    return np.asarray(values, np.float32)
