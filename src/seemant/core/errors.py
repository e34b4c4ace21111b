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

from collections.abc import Iterable
from difflib import get_close_matches


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


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or lists all of them."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(names)}"
