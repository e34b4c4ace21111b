"""Where things lie: the user's cache, the optional data folder."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the user's cache: `SEEMANT_CACHE`, else the XDG cache folder."""
    named = os.environ.get("SEEMANT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seemant"


def data_dir() -> Path | None:
    """Return the folder of real evaluation data (`SEEMANT_DATA`), or None where it is absent."""
    folder = Path(os.environ.get("SEEMANT_DATA") or "../shared/data")
    return folder if folder.is_dir() else None
