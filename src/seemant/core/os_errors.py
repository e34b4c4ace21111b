"""What the system's own errors mean to a user, in ours."""

import errno
from pathlib import Path

from seemant.core.errors import BadFile, DiskFull, NoPermission, SeemantError, WorldError
from seemant.core.paths import cache_dir


def from_os_error(error: OSError, target: Path | None = None) -> SeemantError:
    """Return the error of ours that says what an `OSError` means to a user.

    target: the file or folder that was being written, for an error that names none: a write that
        fails does not know its file.
    """
    if error.errno in FULL:
        return _full(error, target)
    named = error.filename or target
    where = str(named) if named else None
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NoPermission(
            f"permission denied: {error.strerror}", where=where, fix=_other_place(where)
        )
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return BadFile(f"{error.strerror}".lower(), where=where, fix="check the path")
    if error.errno in _BAD_PATH:
        return BadFile(_BAD_PATH[error.errno], where=where, fix="name another path")
    return WorldError(f"the system said: {error.strerror or error}", where=where)


_BAD_PATH = {
    errno.EEXIST: "a file, or a link that leads nowhere, stands where a folder is to be",
    errno.ELOOP: "a link that leads back to itself",
    errno.ENAMETOOLONG: "a name that is too long for the filesystem",
}


def _other_place(where: str | None) -> str:
    try:
        in_cache = where is not None and Path(where).is_relative_to(cache_dir())
    except WorldError:
        in_cache = False
    other = "set SEEMANT_CACHE to one that can be" if in_cache else "name another with --out"
    return f"make the place writable, or {other}, then run it again"


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The numbers of a write that found no room: the disk, the user's share, a file's largest size."""


def _full(error: OSError, target: Path | None) -> DiskFull:
    # Of two names the second is where a copy went: that place is full, not its source.
    place = error.filename2 or error.filename or target
    what, cure = "no space left on the device", "free some space"
    if error.errno == errno.EFBIG:
        what = "the file is larger than the system allows"
        cure = "raise the limit (ulimit -f unlimited) or write to another filesystem"
    return DiskFull(what, where=str(place) if place else None, fix=f"{cure}, then run it again")
