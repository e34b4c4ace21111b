"""Which code a kept measurement was made by: what is kept of other code is no evidence."""

from pathlib import Path

import seemant
from seemant.core.hashing import json_sha256

_PARTS = ("compress", "formats", "models", "probe")


def code_sha256() -> str:
    """Return a hash of what rounds, searches and scores, and of the scripts' shared files."""
    room = Path(seemant.__file__).parent
    folders = [*(room / part for part in _PARTS), Path(__file__).parent]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return json_sha256([path.read_text(encoding="utf-8") for path in files])
