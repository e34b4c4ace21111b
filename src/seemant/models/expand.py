"""A GGUF file expanded into an HF folder in the cache: float32 weights, tokenizer, configuration.

`source.json`, with the file's full SHA-256, is written last: a folder without it is unfinished
work of a killed process and is made again.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from seemant.core.atomic import atomic_path, write_atomic
from seemant.core.hashing import file_sha256
from seemant.core.os_errors import from_os_error
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.models.chat_words import words_of_metadata
from seemant.models.expansions import alone_in, expansion_of, make_room, mark_used
from seemant.models.hf_config import config_of_file, family_of_metadata, rope_factors_of
from seemant.models.names import (
    ROPE_TENSORS,
    Array,
    Family,
    is_shifted_norm,
    permuted_heads,
    to_hf,
    values_to_hf,
)
from seemant.models.prompts import template_of_metadata
from seemant.models.tokenizer import tokenizer_of_metadata

SOURCE_NAME = "source.json"
WEIGHTS_NAME = "model.safetensors"

_ROWS_AT_ONCE = 16_384

# A tensor to write: its shape, and its float32 values in pieces.
Pieces = tuple[tuple[int, ...], Callable[[], Iterable[Array]]]


def expand(path: Path) -> Path:
    """Return the HF folder of a GGUF file's model, made now where the cache lacks it.

    Raises:
        BadFile: the file is damaged or of an architecture that is not read here.
        DiskFull, NoPermission: the cache cannot be written; nothing half-made counts.
    """
    folder = expansion_of(path)
    if not (folder / SOURCE_NAME).is_file():
        source = open_gguf(path)  # a bad file leaves no folder behind
        family_of_metadata(source.metadata)
        try:
            with alone_in(folder):
                if not (folder / SOURCE_NAME).is_file():
                    _fill(source, folder)
            make_room(folder)
        except OSError as error:
            raise from_os_error(error, folder) from error
    mark_used(folder)
    return folder


def write_safetensors(path: Path, tensors: Mapping[str, Pieces]) -> None:
    """Write float32 tensors as safetensors, piece by piece: the model is never whole in memory."""
    header: dict[str, object] = {}
    offset = 0
    for name, (shape, _) in tensors.items():
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, pieces in tensors.values():
            for piece in pieces():
                file.write(np.ascontiguousarray(piece, np.float32).data)
        file.flush()


def _fill(source: GgufFile, folder: Path) -> None:
    for left in folder.glob(".*.tmp"):  # of a killed process
        left.unlink()
    metadata, family = source.metadata, family_of_metadata(source.metadata)
    names = [name for name in source.tensors if name not in ROPE_TENSORS]
    config = config_of_file(source)
    specials = words_of_metadata(metadata).specials
    tokenizer_of_metadata(metadata, str(source.path)).save(folder, specials)
    template = template_of_metadata(metadata)
    if template.source:
        write_atomic(folder / "chat_template.jinja", template.source)
    write_safetensors(
        folder / WEIGHTS_NAME,
        {to_hf(name, family.name): _pieces(source, name, family) for name in names},
    )
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
    facts = {
        "source": str(source.path.resolve()),
        "sha256": file_sha256(source.path),
        "n_bytes": source.path.stat().st_size,
        "rope_factors": list(rope_factors_of(source)) or None,
    }
    write_atomic(folder / SOURCE_NAME, json.dumps(facts, indent=2) + "\n")


def _pieces(source: GgufFile, name: str, family: Family) -> Pieces:
    shape = source.tensors[name].shape

    def pieces() -> Iterator[Array]:
        whole = permuted_heads(name, family) or is_shifted_norm(name, family) or len(shape) == 1
        if whole:
            yield values_to_hf(name, source.dequantize(name), family)
            return
        for start in range(0, shape[0], _ROWS_AT_ONCE):
            yield source.rows(name, start, min(start + _ROWS_AT_ONCE, shape[0]))

    return shape, pieces
