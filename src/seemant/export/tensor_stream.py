"""Writing a safetensors file tensor by tensor, each in pieces: the model is never whole in memory.

The layout: u64 length of the header, the header (JSON, padded to 8), the tensors' bytes.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seemant.core.atomic import atomic_path
from seemant.core.os_errors import from_os_error

DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "I64": "<i8"}


class StreamedTensor(NamedTuple):
    """A tensor to write: one of `DTYPES`, its shape, and a function that yields its pieces."""

    dtype: str
    shape: tuple[int, ...]
    pieces: Callable[[], Iterable[NDArray[Any]]]


def write_stream(path: Path, tensors: Mapping[str, StreamedTensor]) -> None:
    """Write the file, whole or not at all.

    Raises:
        ValueError: a tensor's pieces have more or fewer numbers than its shape (a mistake of the
            caller).
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        end = at + np.dtype(DTYPES[tensor.dtype]).itemsize * math.prod(tensor.shape)
        shape = list(tensor.shape)
        header[name] = {"dtype": tensor.dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name, tensor in tensors.items():
                start = file.tell()
                for piece in tensor.pieces():
                    file.write(np.ascontiguousarray(piece, DTYPES[tensor.dtype]).data)
                begin, end = header[name]["data_offsets"]
                if file.tell() - start != end - begin:
                    raise ValueError(f"tensor {name!r}: other bytes were given than its shape says")
            file.flush()
    except OSError as error:
        raise from_os_error(error, path) from error
