"""What a process holds, looked at every 50 ms, for systems whose kernel cannot hold the limit.

A watcher sees growth after it has happened: it asks for a clean stop at 97 % of the limit and
kills above it, but a single large allocation between two looks can pass the limit. So it is never
reported as enforced.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

PERIOD_S = 0.05
STOP_SHARE = 0.97


class Watcher:
    """Looks at one process until it ends or `close`; keeps the largest figures seen.

    peak_anon: bytes of pages that belong to no file. peak_rss: all resident bytes.
    asked, killed: whether the limit made us ask it to stop, or kill it.
    """

    def __init__(
        self,
        pid: int,
        limit_bytes: float | None = None,
        *,
        period_s: float = PERIOD_S,
        also: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin to look. Without a limit it only keeps the figures; `also` is called each time."""
        self.peak_anon = self.peak_rss = 0
        self.asked = self.killed = False
        self._pid, self._limit, self._period = pid, limit_bytes, period_s
        self._also = also
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        read = _reader()
        while not self._end.wait(self._period):
            held = read(self._pid)
            if held is None:  # it has ended
                return
            anonymous, resident = held
            self.peak_anon = max(self.peak_anon, anonymous)
            self.peak_rss = max(self.peak_rss, resident)
            self._also()
            if self._limit is None:
                continue
            try:
                if anonymous > self._limit:
                    self.killed = True
                    os.kill(self._pid, signal.SIGKILL)
                elif anonymous > STOP_SHARE * self._limit and not self.asked:
                    self.asked = True
                    os.kill(self._pid, signal.SIGTERM)
            except ProcessLookupError:
                return


def _reader() -> Callable[[int], tuple[int, int] | None]:
    """Return a function from a process id to (anonymous, resident) bytes, None once it is gone."""
    return _from_proc if sys.platform.startswith("linux") else _from_ps


def _from_proc(pid: int) -> tuple[int, int] | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    kib = {"RssAnon": 0, "VmRSS": 0}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in kib:
            kib[name] = int(value.split()[0])
    if not kib["VmRSS"]:
        return None  # a zombie: it holds nothing any more
    return kib["RssAnon"] * 1024, kib["VmRSS"] * 1024


def _from_ps(pid: int) -> tuple[int, int] | None:
    """Systems without /proc tell the resident set only; it stands for both."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not done.stdout.strip():
        return None
    resident = int(done.stdout) * 1024
    return resident, resident
