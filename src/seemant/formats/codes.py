"""Codes of a variant that no runtime file can hold: safetensors, read back as values.

One file holds for every matrix `NAME.codes` (uint8 or int8, rows x columns), `NAME.scale` and, if
asymmetric, `NAME.offset` (fp16, rows x groups); matrices in another layout lie beside them as the
bytes of that layout, `NAME.blocks`, the layout's name in the header.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.atomic import atomic_path
from seemant.core.errors import BadFile
from seemant.formats.blocks import dequantize_rows
from seemant.formats.grids import Codes, Grid, Params, value

FORMAT = "seemant-codes-1"
Held = tuple[Codes, Params] | tuple[str, NDArray[np.uint8]]


def save_codes(
    path: Path,
    coded: Mapping[str, tuple[Codes, Params]],
    blocks: Mapping[str, tuple[str, NDArray[np.uint8]]],
) -> None:
    """Write codes (rows, groups, group) with their parameters, and stored rows by layout."""
    arrays: dict[str, NDArray[Any]] = {}
    header = {"format": FORMAT}
    for name, (codes, params) in coded.items():
        kind = np.int8 if params.grid.symmetric else np.uint8
        arrays[f"{name}.codes"] = codes.reshape(len(codes), -1).astype(kind, copy=False)
        arrays[f"{name}.scale"] = params.scale[..., 0].astype(np.float16)
        if params.offset is not None:
            arrays[f"{name}.offset"] = params.offset[..., 0].astype(np.float16)
        header[name] = str(params.grid.bits)
    for name, (layout, raw) in blocks.items():
        arrays[f"{name}.blocks"] = raw
        header[name] = layout
    _write(path, arrays, header)


def load_codes(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return every matrix of the file by its GGUF name, float32 (rows, columns).

    Raises:
        BadFile: missing, damaged, or not such a file.
    """
    return {name: _values(*held) for name, held in iterate_codes(path)}


def iterate_codes(path: Path) -> Iterator[tuple[str, Held]]:
    """Yield name by name what `save_codes` was given: codes with parameters, or a layout's rows.

    Raises:
        BadFile: missing, damaged, or not such a file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadFile("no such file", where=str(path), fix="make the variant again")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.pop("format", None) != FORMAT:
                raise BadFile(f"not a {FORMAT} file", where=str(path))
            parts = set(file.keys())
            for name in sorted(header):
                if f"{name}.blocks" in parts:
                    yield name, (header[name], file.get_tensor(f"{name}.blocks"))
                    continue
                scale = file.get_tensor(f"{name}.scale")
                offset = f"{name}.offset"
                m = file.get_tensor(offset) if offset in parts else None
                yield name, _codes(file.get_tensor(f"{name}.codes"), scale, m, int(header[name]))
    except SafetensorError as error:
        raise BadFile(f"a damaged safetensors file: {error}", where=str(path)) from error


def _codes(
    codes: NDArray[Any], scale: NDArray[Any], offset: NDArray[Any] | None, bits: int
) -> tuple[Codes, Params]:
    rows, columns = codes.shape
    width = columns // scale.shape[1]
    d = scale.astype(np.float32)[..., None]
    m = None if offset is None else offset.astype(np.float32)[..., None]
    params = Params.rounded(Grid(bits, width, m is None), d, m)
    return codes.astype(np.int16).reshape(rows, -1, width), params


def _values(first: Codes | str, second: Params | NDArray[np.uint8]) -> NDArray[np.float32]:
    if isinstance(first, str):
        assert isinstance(second, np.ndarray)
        return dequantize_rows(second, first)
    assert isinstance(second, Params)
    return value(first, second).reshape(len(first), -1)


def _write(path: Path, arrays: Mapping[str, NDArray[Any]], header: Mapping[str, str]) -> None:
    """Write a safetensors file without a second copy of the arrays, and with the system's own
    errors (the library's writer hides a full disk).

    The layout: u64 length of the header, the header (JSON, padded to 8), the arrays' bytes.
    """
    entries: dict[str, Any] = {"__metadata__": dict(header)}
    at = 0
    for name, array in arrays.items():
        kind = {"int8": "I8", "uint8": "U8", "float16": "F16"}[array.dtype.name]
        end = at + array.nbytes
        entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
