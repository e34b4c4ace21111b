"""Where a GGUF file's expansion, or a folder's GGUF file, lies in the cache.

The name is the file's quick identity (size, time of change, blocks spread over all of it), so
that a second load needs no pass over the file. The head alone would not do: two variants of one
model share size, metadata and the first tensors.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seemant.core.errors import Locked, SeemantError
from seemant.core.hashing import json_sha256, sampled_sha256
from seemant.core.lock import folder_lock
from seemant.core.os_errors import from_os_error
from seemant.core.paths import cache_dir

LAYOUT_VERSION = 2  # raise it when the folder's content can change
KEEP_BYTES = 6_000_000_000  # of all expansions together; a study of variants makes a GB each
_WAIT_S = 600.0  # for another process that is filling a place
KEEP_SECONDS = 300.0  # another process may be about to map what was used more recently
_NAME = re.compile(r"[0-9a-f]{16}")


def expansion_of(path: Path) -> Path:
    """Return the place of a GGUF file's expansion in the cache; it need not exist yet.

    Raises:
        BadFile: there is no such file.
    """
    try:
        identity = [LAYOUT_VERSION, sampled_sha256(path)]
    except OSError as error:
        raise from_os_error(error, path) from error
    return _home() / json_sha256(identity)[:16]


def place_of(what: Sequence[object], files: Sequence[Path]) -> Path:
    """Return the place in the cache of something made of several files, by their content.

    what: whatever else decides its content.
    """
    found = [[file.name, sampled_sha256(file)] for file in files]
    return _home() / json_sha256([*what, found])[:16]


def all_expansions() -> list[Path]:
    """Return every expansion in the cache, finished or not; other folders there are not ours."""
    home = _home()
    found = sorted(home.iterdir()) if home.is_dir() else []
    return [path for path in found if _NAME.fullmatch(path.name) and not path.is_symlink()]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a place while it is filled; parallel nodes of a study wait for the one that fills it."""
    start = time.monotonic()
    while True:
        try:
            with folder_lock(folder):
                yield
            return
        except Locked:
            if time.monotonic() - start > _WAIT_S:
                raise
            time.sleep(0.2)


def mark_used(folder: Path) -> None:
    """Note that an expansion was used now: the least recently used go first."""
    try:
        os.utime(folder)
    except OSError:  # a cache that cannot be written still serves
        return


def make_room(
    keep: Path, *, keep_bytes: int = KEEP_BYTES, keep_seconds: float = KEEP_SECONDS
) -> list[Path]:
    """Remove the least recently used expansions while all together are over `keep_bytes`.

    `keep` stays, and so does what was used in the last `keep_seconds` or is being filled. Maps of
    removed files stay valid. Returns what was removed.
    """
    sizes = {path: _used_and_size(path) for path in all_expansions()}
    total = sum(size for _, size in sizes.values())
    removed = []
    for path, (used, size) in sorted(sizes.items(), key=lambda each: each[1]):
        if total <= keep_bytes or time.time() - used < keep_seconds:
            break
        if path == keep:
            continue
        try:
            with folder_lock(path):
                shutil.rmtree(path, ignore_errors=True)
        except (Locked, SeemantError, OSError):
            continue
        total -= size
        removed.append(path)
    return removed


def _used_and_size(folder: Path) -> tuple[float, int]:
    try:
        files = [file.stat() for file in folder.iterdir()]
        return folder.stat().st_mtime, sum(file.st_size for file in files)
    except OSError:  # another process removed it just now
        return 0.0, 0


def _home() -> Path:
    return cache_dir() / "torch"
