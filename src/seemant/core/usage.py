"""What a block of work costs: wall and CPU seconds, peak memory."""

import resource
import time
from dataclasses import dataclass, field

from seemant.core.memory import maxrss_bytes, peak_bytes


@dataclass(slots=True)
class Usage:
    """Seconds and peak resident memory of a block, child processes included."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    _wall0: float = field(default_factory=time.perf_counter)
    _cpu0: float = field(default_factory=lambda: _cpu_seconds())

    def stop(self) -> "Usage":
        """Fill in the figures and return them."""
        self.wall_s = time.perf_counter() - self._wall0
        self.cpu_s = _cpu_seconds() - self._cpu0
        self.peak_rss_bytes = peak_rss_bytes()
        return self


def peak_rss_bytes() -> int:
    """Return the largest resident set of this process or of a finished child so far."""
    return max(peak_bytes(), maxrss_bytes(resource.RUSAGE_CHILDREN))


def _cpu_seconds() -> float:
    total = 0.0
    for kind in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(kind)
        total += used.ru_utime + used.ru_stime
    return total
