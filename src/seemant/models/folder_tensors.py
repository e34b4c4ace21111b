"""The tensors of safetensors files, read block by block, whatever they are stored as.

Their format: 8 bytes of length, a JSON header, data. Files are read, not mapped: what was read does
not stay in the process's memory. numpy alone: bfloat16 and 8-bit floats are unfolded by hand.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile

Array = NDArray[np.float32]

BLOCK_BYTES = 1 << 20  # of float32 in one block of rows
_MAX_HEADER = 100_000_000  # safetensors' own bound


@dataclass(frozen=True, slots=True)
class Grid:
    """Scales of a matrix of 8-bit floats, (rows, columns) of blocks: w = q s of its block.

    block: rows and columns of one block; None: the matrix is cut evenly, as transformers does.
    """

    values: Array
    block: tuple[int, int] | None

    def of_rows(self, shape: tuple[int, ...], start: int, stop: int) -> Array:
        """Return s for rows start to stop of a matrix of this shape, (rows, columns)."""
        high, wide = self.block or (shape[0] // len(self.values), shape[1] // self.values.shape[1])
        rows = self.values[np.arange(start, stop) // high]
        return np.repeat(rows, wide, axis=1)[:, : shape[1]]


@dataclass(frozen=True, slots=True)
class FolderTensor:
    """One tensor of a safetensors file: its shape, its type there, where its bytes begin."""

    path: Path
    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    grid: Grid | None = None

    def blocks(self, multiple: int = 1) -> Iterator[Array]:
        """Yield its rows in float32, a megabyte or less at a time, a multiple of `multiple` each.

        Raises:
            BadFile: the file ends inside it.
        """
        n_rows, rest = self.shape[0], self.shape[1:]
        at_once = max(1, BLOCK_BYTES // (4 * max(1, math.prod(rest))))
        step = max(1, at_once // multiple) * multiple
        width = math.prod(rest) * _SIZES[self.type]
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, n_rows, step):
                stop = min(start + step, n_rows)
                buffer = bytearray((stop - start) * width)
                if file.readinto(buffer) != len(buffer):
                    raise damaged(self.path, f"it ends inside {self.name}")
                values = _READERS[self.type](buffer).reshape(stop - start, *rest)
                if self.grid is not None:
                    values = values * self.grid.of_rows(self.shape, start, stop)
                yield values

    def whole(self) -> Array:
        """Return all of it, float32."""
        if not self.shape:
            return next(FolderTensor(self.path, self.name, (1,), self.type, self.offset).blocks())
        return np.concatenate(list(self.blocks()))

    def same_as(self, other: "FolderTensor") -> bool:
        """Return whether two tensors hold the same values."""
        return self.shape == other.shape and all(
            np.array_equal(a, b) for a, b in zip(self.blocks(), other.blocks(), strict=True)
        )


def tensors_of_file(path: Path) -> dict[str, FolderTensor]:
    """Return the tensors of a safetensors file by name.

    Raises:
        BadFile: a damaged file, or a type that is not read here; names file and tensor.
    """
    header, start, size = _header(path)
    found = {}
    for name, each in header.items():
        try:
            dims, (begin, end) = tuple(int(n) for n in each["shape"]), each["data_offsets"]
            kind = str(each["dtype"])
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(path, f"the entry of {name} is no tensor") from error
        if kind not in _SIZES:
            raise BadFile(
                f"{name} is stored as {kind}, which is not read here",
                where=str(path),
                fix=f"use the model's plain folder ({', '.join(_SIZES)})",
            )
        if begin < 0 or end - begin != math.prod(dims) * _SIZES[kind] or start + end > size:
            raise damaged(path, f"{name} lies outside it")
        if 0 in dims:
            raise BadFile(
                f"{name} is empty, of shape {dims}",
                where=str(path),
                fix="save the model again with its weights gathered (ZeRO-3 keeps them apart)",
            )
        found[name] = FolderTensor(path, name, dims, kind, start + begin)
    return found


def damaged(path: Path, what: str) -> BadFile:
    """Return the refusal of a weights file."""
    return BadFile(
        f"the weights cannot be read: {what}",
        where=str(path),
        fix="remove the file and fetch the model again",
    )


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """Return a file's entries, where its data begins, and its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith(b"version "):
            raise BadFile(
                "the file is a Git LFS pointer: it only names the weights",
                where=str(path),
                fix="run `git lfs pull` in the folder, or fetch the model with seemant",
            )
        if not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise damaged(path, "its header's length is impossible")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise damaged(path, "its header is not JSON")
    header.pop("__metadata__", None)
    return header, 8 + length, size


def _bfloat16(raw: bytearray) -> Array:
    return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)


def _e4m3(raw: bytearray) -> Array:
    # float8_e4m3fn: sign, 4 bits of exponent (bias 7), 3 of mantissa; all ones is NaN.
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    size = np.where(exponent > 0, (8 + mantissa) * 2.0 ** (exponent - 10.0), mantissa * 2.0**-9)
    table = np.where(codes & 128, -size, size).astype(np.float32)
    table[[0x7F, 0xFF]] = np.nan
    return table[np.frombuffer(raw, np.uint8)]


def _e5m2(raw: bytearray) -> Array:  # the upper half of a float16
    return (np.frombuffer(raw, np.uint8).astype("<u2") << 8).view("<f2").astype(np.float32)


def _plain(kind: str) -> Callable[[bytearray], Array]:
    return lambda raw: np.frombuffer(raw, kind).astype(np.float32)


_SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
_READERS: dict[str, Callable[[bytearray], Array]] = {
    "F32": _plain("<f4"),
    "F16": _plain("<f2"),
    "BF16": _bfloat16,
    "F8_E4M3": _e4m3,
    "F8_E5M2": _e5m2,
}
