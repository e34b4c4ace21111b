"""What a command finds around it: streams that may be closed, a locale that may know few letters.

Nothing here prints but `end`, and nothing imports more than the standard library and errors.
"""

import os
import pwd
import select
import shutil
import sys
from collections.abc import Sequence

from seemant.core.errors import InputError
from seemant.core.os_errors import from_os_error

_UTF8 = "utf-8"
_COLUMNS = 40  # with fewer the help cannot be laid out


def begin() -> None:
    """Bring the process to where every command can work.

    A locale that is not UTF-8 decides file names and text files: the program begins anew in
    Python's UTF-8 mode, which its children inherit. A stream that is closed becomes one that takes
    everything. Letters that a stream cannot hold are written as escapes. A terminal of a few
    columns is written to as one of forty.
    """
    if not sys.flags.utf8_mode and sys.getfilesystemencoding().lower() != _UTF8:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    os.environ.setdefault("PYTHONUTF8", "1")
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # libraries name a folder after the user, and fail where he has no name
        os.environ.setdefault("LOGNAME", f"uid{os.getuid()}")
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding=_UTF8))  # noqa: SIM115, PTH123
    named = os.environ.get("COLUMNS", "")
    if named.isdigit() and int(named) == 0:  # which nothing can be laid out in: not meant
        del os.environ["COLUMNS"]
    if shutil.get_terminal_size().columns < _COLUMNS:
        os.environ["COLUMNS"] = str(_COLUMNS)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end(code: int) -> int:
    """Write out what still waits for standard output; return the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()
    except OSError as error:
        _leave_quietly()
        print(f"error: standard output: {from_os_error(error)}", file=sys.stderr)
        return code or 1
    return code


def reader_left() -> bool:
    """Return whether nobody reads standard output any more; what waits for it is dropped then."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # POLLERR comes unasked
        left = any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False
    if left:
        _leave_quietly()
    return left


def check_words(words: Sequence[str]) -> None:
    """Check that every word of the command is text.

    Raises:
        InputError: a file name whose bytes are not UTF-8; results could not say its name.
    """
    for word in words:
        if any("\udc80" <= letter <= "\udcff" for letter in word):
            raise InputError(
                "a name whose bytes are not UTF-8",
                where=word.encode(errors="surrogateescape").decode(errors="backslashreplace"),
                fix="rename the file or the folder",
            )


def _leave_quietly() -> None:
    """Let the interpreter's last flush go nowhere: it would fail after the exit code is set."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
