"""What a process holds in memory, from the kernel's own account of it.

`getrusage`'s peak is inherited over exec from the process that started this one; the account in
/proc begins with the program itself.
"""

import ctypes
import gc
import resource
import sys
from pathlib import Path

_UNLIMITED = 1 << 60  # version 1 says a number near 2**63 for no limit
_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the largest resident set so far: the mapped model file's pages count in it."""
    return _field("VmHWM") or maxrss_bytes(resource.RUSAGE_SELF)


def maxrss_bytes(who: int) -> int:
    """Return `getrusage`'s peak: macOS gives bytes, others KiB."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident_bytes() -> int:
    """Return the resident set now; 0 where the system does not tell."""
    return _field("VmRSS")


def anonymous_bytes() -> int:
    """Return the part that is no file's page, so that it can never be dropped and read again."""
    return _field("RssAnon")


def give_back_heap() -> None:
    """Give glibc's free pages back to the system, after something large was dropped."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return  # another C library: it keeps or returns them as it likes


def allowed_bytes(root: Path = Path("/")) -> int | None:
    """Return the memory that this process's cgroup may take; None where no limit is set.

    The least limit of the group and of those above it, in version 2 and 1 of cgroups. root: where
    the system's /proc and /sys lie.
    """
    limits = []
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        elif number == "0" and not controllers:
            top, name = root / "sys/fs/cgroup", "memory.max"
        else:
            continue
        group = Path(path.lstrip("/"))
        # Inside a container the group's own path may lead nowhere: its limit stands at the top.
        limits += [_number(top / each / name) for each in (group, *group.parents)]
    set_ones = [limit for limit in limits if limit is not None and limit < _UNLIMITED]
    return min(set_ones, default=None)


def _number(path: Path) -> int | None:
    try:
        word = path.read_text().strip()
    except OSError:
        return None
    return int(word) if word.isdigit() else None  # version 2 says "max" for none


def _field(name: str) -> int:
    if not _STATUS.is_file():
        return 0
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
