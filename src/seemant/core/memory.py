"""What a process holds in memory, from the kernel's own account of it.

`getrusage`'s peak is inherited over exec from the process that started this one; the account in
/proc begins with the program itself.
"""

import resource
import sys
from pathlib import Path

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


def _field(name: str) -> int:
    if not _STATUS.is_file():
        return 0
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
