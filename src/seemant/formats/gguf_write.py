"""Writing GGUF files: version 3, aligned, whole or absent, tensors streamed."""

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seemant.core.atomic import atomic_path
from seemant.core.os_errors import from_os_error
from seemant.formats.ggml_types import TYPE_IDS, row_bytes
from seemant.formats.gguf_meta import encode_meta, encode_string, typed
from seemant.formats.gguf_read import DEFAULT_ALIGNMENT, MAGIC

Buffer = bytes | memoryview | NDArray[Any]
Source = Buffer | Callable[[], Iterable[Buffer]]


class TensorData(NamedTuple):
    """A tensor to write.

    type_name: its storage type, for example "Q4_0".
    shape: in numpy order (rows, columns).
    data: its stored bytes, or an array whose bytes they are, or a function that yields either in
        pieces, so that a large tensor can be made while it is written.
    """

    type_name: str
    shape: tuple[int, ...]
    data: Source


def write_gguf(
    path: Path,
    metadata: Mapping[str, Any],
    tensors: Mapping[str, TensorData | tuple[str, tuple[int, ...], Source]],
) -> None:
    """Write a GGUF file, whole or not at all.

    metadata: plain values, or `MetaValue`s where the exact type matters (`GgufFile.fields`).

    Raises:
        ValueError: a tensor's bytes do not match its type and shape (a mistake of the caller).
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    planned = {name: TensorData(*given) for name, given in tensors.items()}
    alignment = int(typed(metadata.get("general.alignment", DEFAULT_ALIGNMENT)).value)
    sizes = {
        name: row_bytes(t.type_name, t.shape[-1]) * math.prod(t.shape[:-1])
        for name, t in planned.items()
    }
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(_head(metadata, planned, sizes, alignment))
            _pad(file, alignment)
            for name, tensor in planned.items():
                _write_tensor(file, name, tensor, sizes[name])
                _pad(file, alignment)
            file.flush()
    except OSError as error:
        raise from_os_error(error, path) from error


def _head(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, TensorData],
    sizes: Mapping[str, int],
    alignment: int,
) -> bytes:
    parts = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += [encode_string(key), encode_meta(typed(value))]
    offset = 0
    for name, tensor in tensors.items():
        dims = tuple(reversed(tensor.shape))
        parts += [
            encode_string(name),
            struct.pack(f"<I{len(dims)}Q", len(dims), *dims),
            struct.pack("<IQ", TYPE_IDS[tensor.type_name], offset),
        ]
        offset += -(-sizes[name] // alignment) * alignment
    return b"".join(parts)


def _write_tensor(file: BinaryIO, name: str, tensor: TensorData, n_bytes: int) -> None:
    pieces = tensor.data() if callable(tensor.data) else [tensor.data]
    start = file.tell()
    for piece in pieces:
        file.write(np.ascontiguousarray(piece).data if isinstance(piece, np.ndarray) else piece)
    written = file.tell() - start
    if written != n_bytes:
        raise ValueError(f"tensor {name!r}: {written} bytes given, {n_bytes} expected")


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(b"\0" * (-file.tell() % alignment))
