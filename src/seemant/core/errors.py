"""Every error that a user can meet.

    SeemantError
    ├── InputError      exit 2: wrong input or use; fix it
    │   ├── BadConfig       a configuration key or value
    │   ├── BadRecord       a line of a data file
    │   ├── BadFile         a file that is missing, damaged or of the wrong kind
    │   └── UnknownModel    a model reference that names nothing
    └── WorldError      exit 1: the world failed; work is kept, the same command goes on
        ├── DiskFull        no space left, or a file at the largest size that is allowed
        ├── NoPermission    the system refused a read or a write
        ├── Offline         a download that cannot be had now
        ├── ServerDown      a model server that does not answer, or answers nonsense
        ├── NoAnswer        a model server that has no answer to one request
        └── Locked          another process fills the same folder

An error says what happened, where, and what to do next.
"""

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class SeemantError(Exception):
    """What happened, where it happened, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)


class InputError(SeemantError):
    """The command or its input is wrong."""

    exit_code = 2


class BadConfig(InputError):
    """A configuration key or value is wrong."""


class BadRecord(InputError):
    """A line of a data file is wrong."""


class BadFile(InputError):
    """A file is missing, damaged or of the wrong kind."""


class UnknownModel(InputError):
    """A model reference names nothing."""


class WorldError(SeemantError):
    """Something outside failed; finished work is kept."""


class DiskFull(WorldError):
    """No room: the device, the quota or the size of a file is at its end."""


class NoPermission(WorldError):
    """The system refused a read or a write."""


class Offline(WorldError):
    """A download cannot be had now."""


class ServerDown(WorldError):
    """A model server does not answer, or answers nonsense."""


class NoAnswer(WorldError):
    """A model server has no answer to one request; to others it may.

    final: asking again is idle.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        fix: str | None = "ask otherwise, or leave this one out",
        final: bool = False,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.final = final


class Locked(WorldError):
    """Another process is filling the same folder."""


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
    from seemant.core.paths import cache_dir

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


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or lists all of them."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(names)}"
