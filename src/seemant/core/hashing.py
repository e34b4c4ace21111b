"""Content hashes: of bytes, texts, configurations, files and folders."""

import hashlib
import json
from pathlib import Path
from typing import Any


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
