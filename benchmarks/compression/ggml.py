"""llama.cpp's own quantisers through the wheel's exported symbols, and its `Q4_K_M` recipe."""

import ctypes
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.formats.ggml_types import row_bytes
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import GgufFile
from seemant.formats.gguf_write import TensorData, write_gguf

Array = NDArray[np.float32]
_FALL_BACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "Q3_K": "Q4_0", "IQ3_S": "IQ4_NL"}
_SLICE = 1 << 22


def quantise(w: Array, type_name: str, importance: Array | None) -> NDArray[np.uint8]:
    """Return the bytes that llama.cpp stores, uint8 (rows, bytes a row)."""
    from gguf import GGMLQuantizationType

    call, w = _quantise_chunk(), np.ascontiguousarray(w)
    out = np.zeros((len(w), row_bytes(type_name, w.shape[1])), np.uint8)
    weight = None if importance is None else np.ascontiguousarray(importance, np.float32)
    kind = int(GGMLQuantizationType[type_name])
    n = call(
        kind,
        w.ctypes.data,
        out.ctypes.data,
        0,
        *w.shape,
        None if weight is None else weight.ctypes.data,
    )
    if n != out.nbytes:
        raise SystemExit(f"llama.cpp stored {n} bytes of {type_name} where {out.nbytes} were due")
    return out


def fitting(type_name: str, columns: int) -> str:
    """Return the type, or what llama.cpp falls back to where the row is no multiple of 256."""
    return type_name if columns % 256 == 0 or type_name not in _FALL_BACK else _FALL_BACK[type_name]


def q4_k_m(file: GgufFile) -> dict[str, str]:
    """Return the types of `llama-quantize ... Q4_K_M` by tensor, fallbacks resolved."""
    n_layers = 1 + max(int(n.split(".")[1]) for n in file.tensors if n.startswith("blk."))
    return {
        name: fitting(_wanted(name, n_layers, "output.weight" in file.tensors), t.shape[-1])
        for name, t in file.tensors.items()
        if len(t.shape) == 2
    }


def _wanted(name: str, n_layers: int, untied: bool) -> str:
    if name == "output.weight" or (name == "token_embd.weight" and not untied):
        return "Q6_K"
    parts = name.split(".")
    if parts[-2] in ("attn_v", "ffn_down"):
        i = int(parts[1])
        more = i < n_layers // 8 or i >= 7 * n_layers // 8 or (i - n_layers // 8) % 3 == 2
        return "Q6_K" if more else "Q4_K"
    return "Q4_K"


def write_peer(
    file: GgufFile,
    types: Mapping[str, str],
    importance: Mapping[str, Array],
    to: Path,
    label: str,
) -> Path:
    """Write a model as llama.cpp quantises it: types by tensor, the others as F32."""

    def pieces(name: str) -> Any:
        def run() -> Iterator[NDArray[np.generic]]:
            shape, kind = file.tensors[name].shape, types.get(name)
            if kind is None:
                yield file.dequantize(name).astype("<f4")
                return
            step = max(1, _SLICE // shape[-1])
            for start in range(0, shape[0], step):
                w = file.rows(name, start, min(start + step, shape[0]))
                yield quantise(w, kind, importance.get(name))

        return run

    tensors = {
        name: TensorData(types.get(name, "F32"), t.shape, pieces(name))
        for name, t in file.tensors.items()
    }
    write_gguf(to, {**file.fields, "general.name": MetaValue("string", label)}, tensors)
    return to


@cache
def _quantise_chunk() -> Any:
    import xllamacpp.xllamacpp as wheel

    library = ctypes.CDLL(wheel.__file__)
    if not hasattr(library, "ggml_quantize_chunk"):
        raise SystemExit("this build of xllamacpp does not export llama.cpp's quantisers")
    call = library.ggml_quantize_chunk
    call.restype = ctypes.c_size_t
    call.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    return call
