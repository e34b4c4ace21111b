"""Where things lie: the user's cache, the run store, the optional data folder."""

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


def store_dir() -> Path:
    """Return the default store of artefacts: `runs` in the working folder."""
    return Path("runs")
