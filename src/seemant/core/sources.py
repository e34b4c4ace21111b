"""Files of text and of records, told by their content: how they are packed and what they hold.

A line ends at a line feed (a carriage return before it belongs to the ending) or at the end of
the file. Of a line at most `limit_bytes` are ever held: a file that is one endless line costs no
memory.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seemant.core.errors import BadFile
from seemant.core.packing import Packing, open_unpacked, packing_of, told_damage
from seemant.core.tables import PARQUET, csv_rows, parquet_rows
from seemant.core.values import WRAPPERS, json_values

Form = Literal["text", "lines", "values", "csv", "tsv", "parquet"]
RawLine = tuple[int, bytes]  # (offset of its first byte, its bytes without the line ending)

PLAIN_LIMIT_BYTES = 1 << 16  # of a plain line: 5,000 characters are at most 20,000 bytes
JSON_LIMIT_BYTES = 1 << 24  # of a JSON line, which only makes sense whole
_JSON_SUFFIXES = {".jsonl", ".ndjson", ".json", ".jsonlines", ".jl"}
_TABLES: dict[str, Form] = {".csv": "csv", ".tsv": "tsv"}
_FOREIGN = {
    b"PK\x03\x04": "zip (or Excel)",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"ARROW1": "Arrow",
    b"SQLite format": "SQLite",
    b"%PDF": "PDF",
}
_ARRAY = re.compile(r"\[\s*\{|\[\s*\[\s*\{|\{\s*\"(?:" + "|".join(WRAPPERS) + r")\"\s*:\s*\[")
_ARRAYS_IN_LINES = re.compile(r"\[\s*\{[^\n]*\]\s*\n\s*\[\s*\{")
_PEEK_BYTES = 8192
_CHUNK_BYTES = 1 << 20
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Source:
    """A file; `size_bytes` is its size on the disk.

    form: "text" holds a paragraph a line, "lines" a JSON object a line, "values" JSON that stands
        in no lines (an array), the others rows of a table.
    """

    path: Path
    size_bytes: int
    packing: Packing
    form: Form

    @property
    def json(self) -> bool:
        """Whether what `stream_lines` gives is JSON."""
        return self.form != "text"

    @property
    def in_lines(self) -> bool:
        """Whether a record is a line of the file as it lies on the disk."""
        return self.packing == "plain" and self.form in ("text", "lines")

    @property
    def limit_bytes(self) -> int:
        """The longest part of a line that is looked at."""
        return JSON_LIMIT_BYTES if self.json else PLAIN_LIMIT_BYTES


def open_source(path: Path, *, records: bool = False) -> Source:
    """Return what kind of file stands at `path`. records: it holds records, no bare text.

    Raises:
        BadFile: nothing is there, or it is a folder, binary, UTF-16, or packed in a way that we
            cannot read.
    """
    if not path.is_file():
        what = "a folder where a file is expected" if path.is_dir() else "no such file"
        raise BadFile(what, where=str(path), fix="check the path")
    with path.open("rb") as file:
        head = file.read(_PEEK_BYTES)
    size = path.stat().st_size
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise BadFile(
                f"a {name} file, which cannot be read line by line here",
                where=str(path),
                fix="write it as JSON Lines, CSV or Parquet; pack it, if at all, as .gz or .zst",
            )
    if head.startswith(PARQUET):
        return Source(path, size, "plain", "parquet")
    packing = packing_of(head)
    if packing != "plain":
        with told_damage(path, packing), open_unpacked(path, packing) as stream:
            head = stream.read(_PEEK_BYTES)
    _refuse_no_utf8(head, path)
    form = _form(head, path)
    return Source(path, size, packing, "lines" if records and form == "text" else form)


def stream_lines(source: Source) -> Iterator[RawLine]:
    """Give every line that is not blank, in order; offsets count unpacked bytes (rows, in tables).

    Raises:
        BadFile: the packed data is damaged or stops early.
    """
    for _, offset, raw in numbered_lines(source, source.limit_bytes):
        yield offset, raw


def numbered_lines(source: Source, limit_bytes: int) -> Iterator[tuple[int, int, bytes]]:
    """Give (number from 1, offset, bytes) of each line or record that is not blank."""
    if source.form == "parquet":
        yield from ((number, number, raw) for number, raw in parquet_rows(source.path))
    elif source.form not in ("text", "lines"):
        with (
            told_damage(source.path, source.packing),
            open_unpacked(source.path, source.packing) as stream,
        ):
            content = stream.read()
        if source.form == "values":
            for number, (offset, raw) in enumerate(json_values(content, source.path), start=1):
                yield number, offset, raw
        else:
            for number, raw in csv_rows(content, source.path, tabs=source.form == "tsv"):
                yield number, number, raw
    else:
        yield from _lines(source, limit_bytes)


def _lines(source: Source, limit: int) -> Iterator[tuple[int, int, bytes]]:
    offset = number = 0
    with (
        told_damage(source.path, source.packing),
        open_unpacked(source.path, source.packing) as stream,
    ):
        while raw := stream.readline(limit):
            start, offset, number = offset, offset + len(raw), number + 1
            ended = raw.endswith(b"\n")
            if not raw.isspace():
                yield number, start, raw.rstrip(b"\r\n") if ended else raw
            while not ended and (rest := stream.readline(_CHUNK_BYTES)):
                offset += len(rest)
                ended = rest.endswith(b"\n")


def _refuse_no_utf8(head: bytes, path: Path) -> None:
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))
    if wide or (len(head) > 3 and 0 in head and (not any(head[:64:2]) or not any(head[1:64:2]))):
        name = "UTF-32" if head[2:4] == b"\0\0" or head.startswith(b"\0\0") else "UTF-16"
        raise BadFile(
            f"{name} text where UTF-8 is expected",
            where=str(path),
            fix=f"iconv -f {name} -t UTF-8 FILE > NEW, and name the new file",
        )
    if b"\0" in head:
        raise BadFile(
            "a binary file (it holds NUL bytes) where lines of text are expected",
            where=str(path),
            fix="name UTF-8 text, JSON Lines, CSV or Parquet",
        )


def _form(head: bytes, path: Path) -> Form:
    """Return what an unpacked file holds, by its beginning; tables by their name too."""
    suffixes = set(path.suffixes[-2:])
    for suffix, table in _TABLES.items():
        if suffix in suffixes:
            return table
    named = bool(suffixes & _JSON_SUFFIXES)
    text = head.decode("utf-8", errors="ignore").lstrip(BOM + " \t\r\n")
    if _ARRAYS_IN_LINES.match(text):
        return "lines"
    if _ARRAY.match(text) or (named and text.startswith("[")):
        return "values"
    lines = text.split("\n")
    first = lines[0].rstrip()
    if first.startswith("{") and len(lines) > 1 and first[-1] in "{[,:":
        return "values"  # one object over several lines, or objects with commas between them
    if named:
        return "lines"
    if len(head) == _PEEK_BYTES:
        lines.pop()  # it is not whole
    whole = [line for line in lines if line.strip()]
    if not whole:  # a line longer than what was looked at
        return "lines" if text.startswith('{"') else "text"
    return "lines" if 2 * sum(map(is_json_object, whole)) >= len(whole) else "text"


def is_json_object(line: str) -> bool:
    """Return whether a line of text is the source of a JSON object."""
    line = line.strip().removeprefix(BOM)
    if not (line.startswith("{") and line.endswith("}")):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
