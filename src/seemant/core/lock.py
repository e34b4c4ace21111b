"""A lock on an artefact's folder: two runs never fill the same one.

The lock is the kernel's (`flock`), so it falls with the process that held it, also after
kill -9: a `.lock` file that nobody holds is stale and is simply taken over.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seemant.core.errors import Locked

LOCK_NAME = ".lock"
GRACE_S = 3.0  # the processes of a run that was just killed need a moment to die


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs.

    Raises:
        Locked: another living process holds it; its number is in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, folder)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    give_up = time.monotonic() + GRACE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() < give_up:
                time.sleep(0.05)
                continue
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise Locked(
                f"another run (process {holder or 'unknown'}) is filling this folder",
                where=str(folder),
                fix="wait for it to end, then run the same command again",
            ) from error
