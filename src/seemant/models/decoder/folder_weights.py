"""The tensors of an HF folder as row blocks, read from safetensors files without mapping them."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seemant.core.errors import BadFile
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import Weights, check_fit, rows_at_once
from seemant.models.hf_folder import read_config, weight_files


def folder_weights(folder: Path) -> Weights:
    """Return the tensors of an HF folder.

    Raises:
        BadFile: no safetensors weights, damaged ones, or tensors that do not fit the model.
    """
    shape = shape_of_config(read_config(folder))
    entries: dict[str, _Entry] = {}
    for path in weight_files(folder):
        entries |= _entries(path)
    # Old exports carry the rotary frequencies, and tied ones a copy of the embedding.
    entries = {n: each for n, each in entries.items() if not n.endswith("rotary_emb.inv_freq")}
    if shape.tied:
        entries.pop("lm_head.weight", None)
    check_fit(shape, {name: each.shape for name, each in entries.items()}, str(folder))
    return Weights(shape, {name: each.blocks for name, each in entries.items()})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One tensor of a safetensors file: where its bytes begin."""

    path: Path
    shape: tuple[int, ...]
    dtype: torch.dtype
    offset: int

    def blocks(self) -> Iterator[Tensor]:
        """Yield its rows, read into memory of their own."""
        width = math.prod(self.shape[1:]) * self.dtype.itemsize
        step = rows_at_once(self.shape)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.shape[0], step):
                n = min(step, self.shape[0] - start)
                buffer = bytearray(n * width)
                if file.readinto(buffer) != len(buffer):
                    raise _damaged(self.path, "it ends inside a tensor")
                values = torch.frombuffer(buffer, dtype=self.dtype)
                yield values.view(n, *self.shape[1:]).float()


_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_MAX_HEADER = 100_000_000  # safetensors' own bound


def _entries(path: Path) -> dict[str, _Entry]:
    """Return the tensors of a safetensors file (its format: 8 bytes length, JSON, data)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise _damaged(path, "its header's length is impossible")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
        except ValueError as error:
            raise _damaged(path, "its header is not JSON") from error
    header.pop("__metadata__", None)
    found = {}
    for name, each in header.items():
        try:
            dims, (begin, end) = tuple(int(n) for n in each["shape"]), each["data_offsets"]
            dtype = _DTYPES.get(each["dtype"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, f"the entry of {name} is no tensor") from error
        if dtype is None:
            raise BadFile(
                f"{name} is stored as {each['dtype']}, which is not read here",
                where=str(path),
                fix=f"use the model's plain folder ({', '.join(_DTYPES)})",
            )
        wanted = math.prod(dims) * dtype.itemsize
        if begin < 0 or end - begin != wanted or 8 + length + end > size or not dims:
            raise _damaged(path, f"{name} lies outside it")
        found[name] = _Entry(path, dims, dtype, 8 + length + begin)
    return found


def _damaged(path: Path, what: str) -> BadFile:
    return BadFile(
        f"the weights cannot be read: {what}",
        where=str(path),
        fix="remove the file and fetch the model again",
    )
