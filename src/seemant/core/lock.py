"""A lock on an artefact's folder: two runs never fill the same one.

The lock is the kernel's (`flock`), so it falls with the process that held it, also after
kill -9: a `.lock` file that nobody holds is stale and is simply taken over. Where the filesystem
has no such locks (some network mounts) the run goes on without one, and says so.
"""

import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seemant.core.errors import Locked

LOCK_NAME = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
GRACE_S = 3.0  # the processes of a run that was just killed need a moment to die


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder while the block runs.

    Raises:
        Locked: another living process holds it; its number is in the message.
    """
    give_up = time.monotonic() + GRACE_S
    while True:
        descriptor = _opened(folder)
        try:
            if not _take(descriptor, folder, give_up):
                continue
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
            return
        finally:
            os.close(descriptor)


def _opened(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:  # a run that was refused removed the folder that it had made
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)


def _take(descriptor: int, folder: Path, give_up: float) -> bool:
    """Wait for the lock; False where its file was removed meanwhile, so that it locks nothing."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _is_still(descriptor, folder / LOCK_NAME)
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
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            sys.stderr.write(
                f"warning: the filesystem of {folder} has no locks ({error.strerror}): "
                "let no second command fill this folder meanwhile\n"
            )
            return True


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
