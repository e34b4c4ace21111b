"""Files that are either whole or absent: written beside their place, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seemant.core.os_errors import FULL
from seemant.core.sync import sync_file, sync_folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it is synced and takes `path`'s place.

    On any failure the temporary is removed and `path` keeps its old content. The error of a full
    disk says `path`: by itself it names nothing, or the temporary.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            sync_file(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        named = error.filename2 or error.filename
        if error.errno in FULL and (named is None or str(named) == str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file: after this call it holds `content`; before, its old content."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
