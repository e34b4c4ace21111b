"""A memory cgroup of our own: made, limited, filled, read and removed; none but our own is touched.

Version 2 (kernel: admin-guide/cgroup-v2): `memory.max`, `memory.swap.max`, read `memory.peak` and
`memory.events`. A group with processes in it cannot have limited children, so the new group is
made beside this process's own, under the nearest ancestor that hands the memory controller down;
never by leaving a group that has a limit of its own.
Version 1 (admin-guide/cgroup-v1/memory): a directory below this process's own group, so that every
limit above keeps holding: `memory.limit_in_bytes`, `memory.memsw.limit_in_bytes` where swap is
counted, read `memory.max_usage_in_bytes`, `memory.failcnt` and `memory.oom_control`.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seemant.core.errors import WorldError

PREFIX = "seemant-"
_LEAVE_S = 3.0  # an ended process stays in its group until it is reaped
_CONTROLLER = "memory"


@dataclass(frozen=True, slots=True)
class Account:
    """What a limit saw: peak bytes charged, charges that had to reclaim first, processes killed."""

    peak_bytes: int | None
    failed_charges: int
    oom_kills: int


@dataclass(frozen=True, slots=True)
class Group:
    """A cgroup that this process made: `inode` tells it from another of the same name."""

    path: Path
    version: Literal[1, 2]
    inode: int

    def add(self, pid: int) -> None:
        """Move a process in; what it allocated before stays charged where it was."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def account(self) -> Account:
        """Return what was charged and refused so far."""
        if self.version == 2:
            events = _table(self.path / "memory.events")
            peak = _number(self.path / "memory.peak")  # since Linux 5.19
            return Account(peak, events.get("max", 0), events.get("oom_kill", 0))
        kills = _table(self.path / "memory.oom_control").get("oom_kill", 0)
        # With swap counted too, it is that limit which refuses.
        counts = [_number(self.path / f"memory.{kind}failcnt") for kind in ("", "memsw.")]
        failed = max(count or 0 for count in counts)
        return Account(_number(self.path / "memory.max_usage_in_bytes"), failed, kills)

    def remove(self) -> None:
        """Remove the group, ending what still runs in it.

        Raises:
            WorldError: the directory is not the one that we made, or would not go.
        """
        if not self.path.name.startswith(PREFIX) or self._inode() not in (self.inode, None):
            raise WorldError(
                "refused to remove a memory cgroup that this run did not make",
                where=str(self.path),
                fix="nothing was touched; look at who made it",
            )
        until = time.monotonic() + _LEAVE_S
        while self.path.exists():
            try:
                self.path.rmdir()
            except OSError as error:
                self._end_members()
                if time.monotonic() > until:
                    raise WorldError(
                        f"a memory cgroup of this run could not be removed: {error.strerror}",
                        where=str(self.path),
                        fix="when its processes have ended: rmdir it",
                    ) from error
                time.sleep(0.02)

    def _inode(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _end_members(self) -> None:
        try:
            members = (self.path / "cgroup.procs").read_text().split()
        except OSError:
            return
        for pid in members:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue  # gone meanwhile, or of another owner


def make_group(limit_bytes: int, parents: Iterator[tuple[Literal[1, 2], Path]]) -> Group:
    """Make a group under the first parent that allows it, and limit it without swap.

    Raises:
        OSError: none allows it.
    """
    last = OSError("no memory cgroup can be made here")
    for version, parent in parents:
        path = parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            path.mkdir()
        except OSError as error:
            last = error
            continue
        group = Group(path, version, path.stat().st_ino)
        try:
            _limit(group, limit_bytes)
        except OSError as error:
            path.rmdir()
            last = error
            continue
        return group
    raise last


def parents(
    version: Literal[1, 2], proc: Path = Path("/proc/self")
) -> Iterator[tuple[Literal[1, 2], Path]]:
    """Yield the directories under which a limited group may be made, nearest first."""
    own, mount = _own_group(version, proc)
    if own is None or mount is None:
        return
    if version == 1:
        yield 1, own
        return
    here = own
    while True:
        if _CONTROLLER in _words(here / "cgroup.subtree_control"):
            yield 2, here
        if here == mount or _words(here / "memory.max") not in ([], ["max"]):
            return  # the top, or a limit that is not ours to leave
        here = here.parent


def _limit(group: Group, limit_bytes: int) -> None:
    """Set the limit, and no swap beside it: a swapped run is neither fast nor within its limit."""
    if group.version == 2:
        (group.path / "memory.max").write_text(str(limit_bytes))
        swap, value = group.path / "memory.swap.max", "0"
    else:
        (group.path / "memory.limit_in_bytes").write_text(str(limit_bytes))
        # Memory and swap together; the kernel has it only where swap is counted.
        swap, value = group.path / "memory.memsw.limit_in_bytes", str(limit_bytes)
    if swap.exists():
        swap.write_text(value)


def _own_group(version: int, proc: Path) -> tuple[Path | None, Path | None]:
    """Return this process's group in the memory controller, and where the hierarchy is mounted.

    A container may see only a part of the hierarchy: `mountinfo` says which part is mounted.
    """
    inside = _path_in_hierarchy(version, proc)
    if inside is None:
        return None, None
    for line in _lines(proc / "mountinfo"):
        fields, _, tail = line.partition(" - ")
        kind, _, options = [*tail.split(), "", "", ""][:3]
        if version == 2 and kind != "cgroup2":
            continue
        if version == 1 and (kind != "cgroup" or _CONTROLLER not in options.split(",")):
            continue
        root, mount = fields.split()[3], Path(fields.split()[4])
        if inside == root or root == "/" or inside.startswith(f"{root}/"):
            below = inside.removeprefix(root if root != "/" else "").strip("/")
            own = mount / below if below else mount
            return (own, mount) if own.is_dir() else (None, None)
    return None, None


def _path_in_hierarchy(version: int, proc: Path) -> str | None:
    for line in _lines(proc / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if version == 2 and number == "0" and not controllers:
            return path
        if version == 1 and _CONTROLLER in controllers.split(","):
            return path
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0].isdigit() else None


def _table(path: Path) -> dict[str, int]:
    """Return a file of `name number` lines."""
    pairs = [line.split() for line in _lines(path)]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
