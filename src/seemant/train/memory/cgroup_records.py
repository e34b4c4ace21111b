"""Which cgroups we made, written down, so that what a killed run left is removed by the next one.

A run that is killed with -9 cannot remove its (then empty) cgroup. Only groups in these records
are ever removed, and only when the process that made them is gone.
"""

import os
from contextlib import suppress
from pathlib import Path

from seemant.core.errors import SeemantError
from seemant.core.jsonl import read_json, write_json
from seemant.core.paths import cache_dir
from seemant.train.memory.cgroup import Group


def remember(group: Group) -> None:
    """Write down that this process made a group, where there is a cache to write to."""
    maker = {"pid": os.getpid(), "started": _started(os.getpid())}
    said = {"path": str(group.path), "version": group.version, "inode": group.inode, **maker}
    with suppress(SeemantError, OSError):
        write_json(_folder() / f"{group.path.name}.json", said)


def forget(group: Group) -> None:
    """Strike out a group that is removed."""
    with suppress(SeemantError, OSError):
        (_folder() / f"{group.path.name}.json").unlink(missing_ok=True)


def sweep() -> list[Path]:
    """Remove the groups of runs that are gone; return them."""
    removed = []
    try:
        records = sorted(_folder().glob("*.json"))
    except (SeemantError, OSError):  # no cache, or not ours to read
        return []
    for record in records:
        try:
            said = read_json(record)
            if _started(said["pid"]) == said["started"]:
                continue  # its maker is alive
            path = Path(said["path"])
            if path.is_dir():
                Group(path, said["version"], said["inode"]).remove()
                removed.append(path)
            record.unlink(missing_ok=True)
        except (SeemantError, OSError, KeyError, TypeError):
            continue  # torn, another's, or not to be had: it harms nobody
    return removed


def _folder() -> Path:
    return cache_dir() / "cgroups"


def _started(pid: int) -> str | None:
    """Return when a process began, in clock ticks since boot; None once it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]  # field 22; the name before ")" may hold anything
