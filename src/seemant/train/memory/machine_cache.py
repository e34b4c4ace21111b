"""What was measured once on this machine: the runtime's memory, products' speed, the plan's misses.

One file per machine and library version in the user's cache; removing it only means measuring
again.
"""

from pathlib import Path
from typing import Any

from seemant.core.errors import SeemantError
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json, write_json
from seemant.core.machine import hardware, packages
from seemant.core.paths import cache_dir

_KEEP = 32  # misses of the plan: the newest say most about the code that runs now


def recall(name: str) -> Any | None:
    """Return what was remembered under a name; None where nothing was."""
    return _all().get(name)


def remember(name: str, value: Any) -> None:
    """Keep a measurement of this machine."""
    facts = _all() | {name: value}
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, facts)


def remember_miss(key: str, relative: float) -> None:
    """Keep how far a prediction was off: measured / predicted - 1, one for each kind of run."""
    misses: dict[str, float] = recall("misses") or {}
    misses.pop(key, None)
    misses[key] = relative
    remember("misses", dict(list(misses.items())[-_KEEP:]))


def misses() -> list[float]:
    """Return the relative misses of earlier predictions on this machine."""
    return list((recall("misses") or {}).values())


def _all() -> dict[str, Any]:
    try:
        found = read_json(_path())
    except (SeemantError, OSError):  # not measured yet, or torn: measured again
        return {}
    return found if isinstance(found, dict) else {}


def _path() -> Path:
    facts = hardware()
    which = {key: facts[key] for key in ("cpu", "flags", "cores", "memory_gb")}
    versions = {name: packages().get(name) for name in ("seemant", "torch", "numpy", "python")}
    return cache_dir() / "machine" / f"{json_sha256([which, versions])[:12]}.json"
