"""Reading GGUF files: memory-mapped, checked against the file's end, metadata in one pass.

gguf-py's own reader takes tens of seconds on a vocabulary of 262,144 tokens, as it makes an array
for every string; this one reads the same file in a fraction of a second.
"""

import math
import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.blocks import dequantize_rows
from seemant.formats.ggml_types import TYPE_NAMES, block_of, row_bytes
from seemant.formats.gguf_meta import Cursor, MetaValue
from seemant.formats.gguf_model import as_one_model, check_whole

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

_MIN_KV_BYTES = 8 + 4 + 1  # an empty key, a type, the smallest value
_MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8  # an empty name, one dimension, type, offset


def open_gguf(path: Path) -> "GgufFile":
    """Return an open GGUF file: metadata read, tensors mapped and not yet touched.

    Raises:
        BadFile: it is missing, not GGUF, truncated, or says something impossible; names the byte.
    """
    buffer = _mapped(path)
    cursor = Cursor(buffer, str(path))
    n_tensors, n_fields = _header(cursor)
    fields: dict[str, MetaValue] = {}
    for index in range(n_fields):
        key = cursor.string(f"the key of metadata entry {index}")
        if key in fields:
            raise BadFile(f"the metadata key {key!r} stands twice", where=str(path))
        fields[key] = cursor.meta(f"metadata {key!r}")
    alignment = fields.get("general.alignment", MetaValue("uint32", DEFAULT_ALIGNMENT)).value
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise BadFile(f"general.alignment is {alignment!r}, not a power of two", where=str(path))
    entries = [_tensor_entry(cursor, index) for index in range(n_tensors)]
    data_at = -(-cursor.at // alignment) * alignment
    tensors: dict[str, GgufTensor] = {}
    for name, shape, type_name, offset in entries:
        if name in tensors:
            raise BadFile(f"the tensor {name!r} stands twice", where=str(path))
        tensors[name] = _place(cursor, name, shape, type_name, data_at + offset)
    file = GgufFile(path, fields, tensors)
    check_whole(file.metadata, str(path))
    return file


@dataclass(frozen=True, slots=True, eq=False)
class GgufTensor:
    """One tensor: shape in numpy order (rows, columns), its stored type and bytes."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    n_bytes: int
    _bytes: memoryview

    @property
    def n_weights(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    def raw(self) -> NDArray[np.uint8]:
        """Return the stored bytes, read-only, uint8 (rows, bytes a row); nothing is copied."""
        width = row_bytes(self.type_name, self.shape[-1])
        return np.frombuffer(self._bytes, np.uint8).reshape(-1, width)


@dataclass(frozen=True, eq=False)
class GgufFile:
    """An open GGUF file.

    fields: the metadata with their types in the file, for rewriting; `metadata`: plain values.
    tensors: by name, in the file's order.
    """

    path: Path
    fields: dict[str, MetaValue]
    tensors: dict[str, GgufTensor]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The metadata as plain Python values; what is the same in every layer is one number."""
        return as_one_model({key: meta.value for key, meta in self.fields.items()}, str(self.path))

    def dequantize(self, name: str) -> NDArray[np.float32]:
        """Return a tensor's values, float32 in numpy order.

        Raises:
            BadFile: no such tensor, or a type that cannot be read.
        """
        tensor = self._tensor(name)
        return self._values(tensor, tensor.raw()).reshape(tensor.shape)

    def rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows [start, stop) of a tensor, float32 (rows, columns)."""
        tensor = self._tensor(name)
        return self._values(tensor, tensor.raw()[start:stop])

    def forget_pages(self) -> None:
        """Let what was read so far leave this process's memory; it is read again when asked for."""
        for tensor in self.tensors.values():
            mapped = tensor._bytes.obj
            if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)
            return  # all tensors lie in one map

    def _tensor(self, name: str) -> GgufTensor:
        if name not in self.tensors:
            raise BadFile(f"no tensor {name!r} in the file", where=str(self.path))
        return self.tensors[name]

    def _values(self, tensor: GgufTensor, raw: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            return dequantize_rows(raw, tensor.type_name)
        except NotImplementedError as error:
            raise BadFile(
                f"tensor {tensor.name!r} is stored as {tensor.type_name}, which cannot be read",
                where=str(self.path),
            ) from error


def _mapped(path: Path) -> memoryview:
    if not path.is_file():
        raise BadFile("no such file", where=str(path), fix="check the path")
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise BadFile(
                "not a GGUF file: it does not begin with 'GGUF'",
                where=str(path),
                fix="name a .gguf model file",
            )
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _header(cursor: Cursor) -> tuple[int, int]:
    cursor.at = len(MAGIC)
    version = cursor.scalar("I", "the version")
    if version not in VERSIONS:
        swapped = version & 0xFFFF == 0 and version != 0
        what = "a big-endian GGUF file" if swapped else f"GGUF version {version}"
        raise BadFile(f"{what} cannot be read", where=cursor.where, fix="convert it to version 3")
    n_tensors, n_fields = cursor.scalar("Q", "the counts"), cursor.scalar("Q", "the counts")
    cursor.need(n_fields * _MIN_KV_BYTES, f"a table of {n_fields} metadata entries")
    cursor.need(n_tensors * _MIN_TENSOR_BYTES, f"a table of {n_tensors} tensors")
    return n_tensors, n_fields


def _tensor_entry(cursor: Cursor, index: int) -> tuple[str, tuple[int, ...], str, int]:
    name = cursor.string(f"the name of tensor {index}")
    n_dims = cursor.scalar("I", f"tensor {name!r}")
    if not 1 <= n_dims <= 4:
        raise BadFile(f"tensor {name!r} has {n_dims} dimensions", where=cursor.where)
    dims = [cursor.scalar("Q", f"tensor {name!r}") for _ in range(n_dims)]
    number = cursor.scalar("I", f"tensor {name!r}")
    offset = cursor.scalar("Q", f"tensor {name!r}")
    if number not in TYPE_NAMES:
        raise BadFile(f"tensor {name!r} has the unknown type {number}", where=cursor.where)
    if min(dims) < 1:
        raise BadFile(f"tensor {name!r} has a dimension of {min(dims)}", where=cursor.where)
    return name, tuple(reversed(dims)), TYPE_NAMES[number], offset


def _place(
    cursor: Cursor, name: str, shape: tuple[int, ...], type_name: str, at: int
) -> GgufTensor:
    weights, block_bytes = block_of(type_name)
    if shape[-1] % weights:
        what = f"tensor {name!r}: a row of {shape[-1]} is no whole number of {type_name} blocks"
        raise BadFile(what, where=cursor.where)
    n_bytes = math.prod(shape) // weights * block_bytes
    cursor.at = min(at, len(cursor.buffer))
    cursor.need(n_bytes, f"tensor {name!r}")
    return GgufTensor(name, shape, type_name, n_bytes, cursor.buffer[at : at + n_bytes])
