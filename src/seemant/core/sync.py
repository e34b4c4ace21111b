"""Making what was written survive a power cut, as far as the filesystem offers it."""

import errno
import os
from pathlib import Path

# What network and FUSE filesystems answer that have no sync of a file or of a folder: there is
# nothing to wait for. EIO, ENOSPC and the like are real and are raised.
_NO_SUCH_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def sync_file(descriptor: int) -> None:
    """Wait until a file's content is on its device."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write into a folder that one must not list
        return
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
