"""How far the memory plan was off in earlier runs on this machine."""

from seemant.core.machine_cache import recall, remember

_KEEP = 32  # the newest say most about the code that runs now


def remember_miss(key: str, relative: float) -> None:
    """Keep how far a prediction was off: measured / predicted - 1, one for each kind of run."""
    kept: dict[str, float] = recall("misses") or {}
    kept.pop(key, None)
    kept[key] = relative
    remember("misses", dict(list(kept.items())[-_KEEP:]))


def misses() -> list[float]:
    """Return the relative misses of earlier predictions on this machine."""
    return list((recall("misses") or {}).values())
