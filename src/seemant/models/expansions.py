"""Where a GGUF file's expansion lies in the cache.

The name is the file's quick identity (size, time of change, first mebibyte), so that a second
load needs no pass over the file.
"""

import hashlib
from pathlib import Path

from seemant.core.errors import from_os_error
from seemant.core.hashing import json_sha256
from seemant.core.paths import cache_dir

LAYOUT_VERSION = 1  # raise it when the folder's content can change
_HEAD_BYTES = 1 << 20


def expansion_of(path: Path) -> Path:
    """Return the place of a GGUF file's expansion in the cache; it need not exist yet.

    Raises:
        BadFile: there is no such file.
    """
    try:
        facts = path.stat()
        with path.open("rb") as file:
            head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    except OSError as error:
        raise from_os_error(error) from error
    identity = [LAYOUT_VERSION, facts.st_size, facts.st_mtime_ns, head]
    return cache_dir() / "torch" / json_sha256(identity)[:16]
