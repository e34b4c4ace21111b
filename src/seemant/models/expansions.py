"""Where a GGUF file's expansion lies in the cache.

The name is the file's quick identity (size, time of change, blocks spread over all of it), so
that a second load needs no pass over the file. The head alone would not do: two variants of one
model share size, metadata and the first tensors.
"""

import re
from pathlib import Path

from seemant.core.errors import from_os_error
from seemant.core.hashing import json_sha256, sampled_sha256
from seemant.core.paths import cache_dir

LAYOUT_VERSION = 1  # raise it when the folder's content can change
_NAME = re.compile(r"[0-9a-f]{16}")


def expansion_of(path: Path) -> Path:
    """Return the place of a GGUF file's expansion in the cache; it need not exist yet.

    Raises:
        BadFile: there is no such file.
    """
    try:
        identity = [LAYOUT_VERSION, sampled_sha256(path)]
    except OSError as error:
        raise from_os_error(error) from error
    return _home() / json_sha256(identity)[:16]


def all_expansions() -> list[Path]:
    """Return every expansion in the cache, finished or not; other folders there are not ours."""
    home = _home()
    found = sorted(home.iterdir()) if home.is_dir() else []
    return [path for path in found if _NAME.fullmatch(path.name) and not path.is_symlink()]


def _home() -> Path:
    return cache_dir() / "torch"
