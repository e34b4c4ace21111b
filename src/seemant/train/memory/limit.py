"""A memory limit around a child process, by the strictest way that this system offers.

In this order: a scope of systemd's with MemoryMax (cgroup v2, delegated), a cgroup v2 or v1 of our
own, RLIMIT_DATA, a watcher. RLIMIT_DATA counts private writable memory (heap and anonymous maps,
since Linux 4.7), touched or not, but not the pages of libraries and of weights mapped for reading;
RLIMIT_AS would count those and the reserved stacks of threads. Only the kernel's ways are
`enforced`: a watcher looks every 50 ms and can come too late.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seemant.core.errors import InputError
from seemant.train.memory.cgroup import Account, Group, make_group, parents
from seemant.train.memory.cgroup_records import forget, remember, sweep

Way = Literal["systemd scope", "cgroup v2", "cgroup v1", "rlimit data", "watcher"]
WAYS: tuple[Way, ...] = ("systemd scope", "cgroup v2", "cgroup v1", "rlimit data", "watcher")


@dataclass(slots=True)
class Limit:
    """A limit that waits for its process: start it with `command`, then `hold` it.

    A process must be held before it takes memory: let it say that it runs, and wait for a word.

    how: which way holds it. enforced: whether the kernel does; a watcher only looks.
    """

    how: Way
    bytes: int
    group: Group | None = None
    prefix: tuple[str, ...] = ()
    _scope: Path | None = None
    _seen: Account | None = None

    @property
    def enforced(self) -> bool:
        """Whether the kernel holds the process to it."""
        return self.how != "watcher"

    @property
    def watched_bytes(self) -> int | None:
        """The bytes at which the watcher has to act; None where the kernel does."""
        return None if self.enforced else self.bytes

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the command line that starts a process under this limit."""
        return [*self.prefix, *words]

    def hold(self, pid: int) -> None:
        """Put a process that has just started under the limit; all that it starts follows it."""
        if self.group is not None:
            self.group.add(pid)
        elif self.how == "rlimit data":
            import resource

            resource.prlimit(pid, resource.RLIMIT_DATA, (self.bytes, self.bytes))
        elif self.how == "systemd scope":
            self._scope = _scope_of(pid)

    def account(self) -> Account | None:
        """Return what the kernel charged and refused; None where it keeps no account."""
        if self.group is not None:
            return self.group.account()
        self.look()
        return self._seen

    def look(self) -> None:
        """Read a scope's account while it is there: systemd removes it with its last process."""
        if self._scope is not None and self._scope.is_dir():
            self._seen = Group(self._scope, 2, 0).account()


@contextmanager
def limit_of(limit_bytes: float, ways: Sequence[Way] = WAYS) -> Iterator[Limit]:
    """Give the strictest limit that can be had among `ways`; what it made is removed at the end.

    Raises:
        InputError: none of them works on this system.
    """
    sweep()
    limit, refusals = None, []
    for way in ways:
        try:
            limit = _open(way, int(limit_bytes))
        except OSError as error:
            refusals.append(f"{way}: {error.strerror or error}")
            continue
        break
    if limit is None:
        raise InputError(
            f"no memory limit can be held here ({'; '.join(refusals)})",
            fix="run without --memory-limit, or on Linux with cgroups",
        )
    try:
        yield limit
    finally:
        if limit.group is not None:
            limit.group.remove()
            forget(limit.group)


def best_way() -> Way:
    """Return the way that a limit would be held here; nothing is left behind."""
    with limit_of(2**30) as limit:
        return limit.how


def _open(way: Way, limit_bytes: int) -> Limit:
    """Return a limit of this kind.

    Raises:
        OSError: this system does not offer it.
    """
    if way == "systemd scope":
        return Limit(way, limit_bytes, prefix=_scope_command(limit_bytes))
    if way in ("cgroup v2", "cgroup v1"):
        group = make_group(limit_bytes, parents(2 if way == "cgroup v2" else 1))
        remember(group)
        return Limit(way, limit_bytes, group)
    if way == "rlimit data" and not sys.platform.startswith("linux"):
        raise OSError("only Linux counts all private memory in RLIMIT_DATA")
    return Limit(way, limit_bytes)


def _scope_command(limit_bytes: int) -> tuple[str, ...]:
    """Return the command that runs another in a scope with this limit, once one has worked."""
    if (
        shutil.which("systemd-run") is None
        or not Path("/sys/fs/cgroup/cgroup.controllers").exists()
    ):
        raise OSError("systemd with cgroup v2 is not here")
    user = () if os.geteuid() == 0 else ("--user",)
    command = (
        *("systemd-run", *user, "--scope", "--quiet", "--collect"),
        *("-p", f"MemoryMax={limit_bytes}", "-p", "MemorySwapMax=0", "--"),
    )
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError("systemd-run does not answer") from error
    if tried.returncode != 0:
        raise OSError(tried.stderr.decode(errors="replace").strip() or "systemd-run failed")
    return command


def _scope_of(pid: int) -> Path | None:
    """Return the cgroup that systemd put a process in."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        if line.startswith("0::/"):
            return Path("/sys/fs/cgroup") / line.removeprefix("0::/")
    return None
