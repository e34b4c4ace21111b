"""An append-only journal of JSON objects that survives kill -9 and a full disk.

Each entry is one line, synced before `append` returns: an entry that was appended is never lost.
A line torn by a kill is cut off when the journal is opened; one that did not fit on the disk is
taken back before the error is raised, so the same command can go on once there is space.
"""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seemant.core.errors import BadFile
from seemant.core.os_errors import from_os_error
from seemant.core.sync import sync_file


class Journal:
    """An open journal: `entries` as found on opening plus those appended since."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a+b", buffering=0)
        try:
            self.entries: list[dict[str, Any]] = self._recover()
        except BaseException:
            self._file.close()
            raise

    def append(self, entry: dict[str, Any]) -> None:
        """Append one entry and make it durable.

        Raises:
            DiskFull: there was no space; the journal ends with its last whole entry.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        start = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            sync_file(self._file.fileno())
        except OSError as error:
            self._file.truncate(start)
            raise from_os_error(error, self.path) from error
        self.entries.append(entry)

    def close(self) -> None:
        """Close the file; every entry is already on the disk."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _recover(self) -> list[dict[str, Any]]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):  # a torn last line: the process died while writing it
            self._file.truncate(whole)
        entries = []
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                entries.append(json.loads(line))
            except ValueError as error:
                raise BadFile(
                    "a damaged line inside the journal",
                    where=f"{self.path}:{number}",
                    fix="remove that line by hand, or the whole folder to begin again",
                ) from error
        return entries
