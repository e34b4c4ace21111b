"""Where things lie: the user's cache, the optional data folder."""

import os
from pathlib import Path

from seemant.core.errors import WorldError


def cache_dir() -> Path:
    """Return the user's cache: `SEEMANT_CACHE`, else the XDG cache folder.

    Raises:
        WorldError: neither is named, and the user has no home (no HOME, no entry in passwd).
    """
    try:
        if named := os.environ.get("SEEMANT_CACHE"):
            return Path(named).expanduser()
        # A relative XDG folder is to be ignored (XDG base directories, 0.8).
        xdg = Path(os.environ.get("XDG_CACHE_HOME") or "")
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "seemant"
    except RuntimeError as error:
        raise WorldError(
            "there is no folder for the cache: this user has no home",
            fix="set SEEMANT_CACHE to a folder that can be written, or HOME",
        ) from error


def data_dir() -> Path | None:
    """Return the folder of real evaluation data (`SEEMANT_DATA`), or None where it is absent."""
    folder = Path(os.environ.get("SEEMANT_DATA") or "../shared/data")
    return folder if folder.is_dir() else None
