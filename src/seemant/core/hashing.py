"""Content hashes: of bytes, texts, configurations, files and folders."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

_N_BLOCKS = 64
_BLOCK_BYTES = 1 << 16


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_sha256(path: Path) -> str:
    """Return a hash that stands for a large file's content without reading all of it.

    It covers the size, the time of change and 64 evenly spread blocks of 64 KiB. A change that
    keeps all of these is not noticed; a copy with a new time counts as another file.
    """
    status = path.stat()
    digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode())
    last = max(0, status.st_size - _BLOCK_BYTES)
    with path.open("rb") as file:
        for number in range(_N_BLOCKS):
            digest.update(os.pread(file.fileno(), _BLOCK_BYTES, number * last // (_N_BLOCKS - 1)))
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def json_sha256(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return text_sha256(canonical_json(value))


def folder_sha256(folder: Path) -> str:
    """Return one hash over the relative names and contents of all files below a folder.

    Hidden files are left out: they are locks and half-written temporaries.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return json_sha256([[p.relative_to(folder).as_posix(), file_sha256(p)] for p in files])
