"""llama.cpp itself as oracle: its quantisers and dequantisers, where the wheel exports them."""

import ctypes
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from seemant.formats.ggml_types import block_of, row_bytes


def quantize(
    w: NDArray[np.float32], name: str, importance: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """Return the bytes that llama.cpp stores, uint8 (rows, bytes a row)."""
    call = _symbol("ggml_quantize_chunk")
    call.restype = ctypes.c_size_t
    call.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    w = np.ascontiguousarray(w)
    out = np.zeros((len(w), row_bytes(name, w.shape[1])), np.uint8)
    weight = None if importance is None else importance.ctypes.data
    kind = int(GGMLQuantizationType[name])
    assert call(kind, w.ctypes.data, out.ctypes.data, 0, *w.shape, weight) == out.nbytes
    return out


def dequantize(raw: NDArray[np.uint8], name: str) -> NDArray[np.float32]:
    """Return the values that llama.cpp reads, float32 (rows, columns)."""
    kind = name[:2].lower() + name[2:]
    call = _symbol(f"dequantize_row_{kind}")
    call.restype = None
    call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    raw = np.ascontiguousarray(raw)
    weights, n_bytes = block_of(name)
    out = np.zeros((len(raw), raw.shape[1] // n_bytes * weights), np.float32)
    call(raw.ctypes.data, out.ctypes.data, out.size)
    return out


def _symbol(name: str) -> Any:
    path = pytest.importorskip("xllamacpp.xllamacpp", reason="needs the llamacpp extra").__file__
    library = ctypes.CDLL(path)
    if not hasattr(library, name):
        pytest.skip(f"this build of xllamacpp does not export {name}")
    return getattr(library, name)
