"""Corpus files as streams of lines: plain, gzip or zstd, told apart by their first bytes.

A line ends at a line feed (a carriage return before it belongs to the ending) or at the end of
the file. Of a line at most `limit_bytes` are ever held: a file that is one endless line costs no
memory.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from seemant.core.errors import BadFile
from seemant.corpus.zstd import DamagedZstd, open_zstd

Packing = Literal["plain", "gzip", "zstd"]
RawLine = tuple[int, bytes]  # (offset of its first byte, its bytes without the line ending)

PLAIN_LIMIT_BYTES = 1 << 16  # of a plain line: 5,000 characters are at most 20,000 bytes
JSON_LIMIT_BYTES = 1 << 24  # of a JSON line, which only makes sense whole
_JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
_MAGIC: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_FOREIGN = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"PAR1": "Parquet"}
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, DamagedZstd)
_PEEK_BYTES = 8192
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus file; `size_bytes` is its size on the disk."""

    path: Path
    size_bytes: int
    packing: Packing
    json: bool

    @property
    def limit_bytes(self) -> int:
        """The longest part of a line that is looked at."""
        return JSON_LIMIT_BYTES if self.json else PLAIN_LIMIT_BYTES


def open_source(path: Path) -> Source:
    """Return what kind of corpus file stands at `path`.

    Raises:
        BadFile: nothing is there, or it is a folder, binary, or packed in a way we cannot read.
    """
    if not path.is_file():
        what = "a folder where a file is expected" if path.is_dir() else "no such file"
        raise BadFile(what, where=str(path), fix="check the path")
    with path.open("rb") as file:
        head = file.read(_PEEK_BYTES)
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise BadFile(
                f"a {name} file, which cannot be read line by line here",
                where=str(path),
                fix="unpack it, or pack it as .gz or .zst",
            )
    packing: Packing = "plain"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            packing = kind
    suffixes = set(path.suffixes[-2:]) if packing != "plain" else {path.suffix}
    source = Source(path, path.stat().st_size, packing, bool(suffixes & _JSON_SUFFIXES))
    if packing != "plain":
        with _open(source) as stream:
            head = _head(stream, path)
    if b"\0" in head:
        raise BadFile(
            "a binary file (it holds NUL bytes) where lines of text are expected",
            where=str(path),
            fix="name UTF-8 text or JSON Lines, plain or as .gz or .zst (convert UTF-16)",
        )
    return source


def stream_lines(source: Source) -> Iterator[RawLine]:
    """Give every line that is not blank, in order; offsets count unpacked bytes.

    Raises:
        BadFile: the packed data is damaged or stops early.
    """
    limit, offset = source.limit_bytes, 0
    try:
        with _open(source) as stream:
            while raw := stream.readline(limit):
                start, offset = offset, offset + len(raw)
                ended = raw.endswith(b"\n")
                if not raw.isspace():
                    yield start, raw.rstrip(b"\r\n") if ended else raw
                while not ended and (rest := stream.readline(_CHUNK_BYTES)):
                    offset += len(rest)
                    ended = rest.endswith(b"\n")
    except _DAMAGE as error:
        raise BadFile(
            f"damaged {source.packing} data: {error}",
            where=f"{source.path}, after {offset} unpacked bytes",
            fix="get the file again, or unpack what is whole of it",
        ) from error


def _open(source: Source) -> IO[bytes]:
    if source.packing == "gzip":
        return cast("IO[bytes]", gzip.open(source.path, "rb"))
    if source.packing == "zstd":
        return open_zstd(source.path)
    return source.path.open("rb", buffering=_CHUNK_BYTES)


def _head(stream: IO[bytes], path: Path) -> bytes:
    try:
        return stream.read(_PEEK_BYTES)
    except _DAMAGE as error:
        raise BadFile(f"damaged packed data: {error}", where=str(path)) from error
