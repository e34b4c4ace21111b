"""Packed files, told apart by their first bytes, whatever their names say."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from seemant.core.errors import BadFile
from seemant.core.zstd import DamagedZstd, open_zstd

Packing = Literal["plain", "gzip", "zstd", "bzip2", "xz"]

_MAGIC: dict[bytes, Packing] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
_SKIPPABLE = b"\x2a\x4d\x18"  # behind 50 to 5F: a zstd frame to pass over; pzstd begins with one
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, DamagedZstd)
_CHUNK_BYTES = 1 << 20


def packing_of(head: bytes) -> Packing:
    """Return how a file that begins with these bytes is packed."""
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "plain")


def open_unpacked(path: Path, packing: Packing) -> IO[bytes]:
    """Return a stream of the unpacked bytes; read it inside `told_damage`."""
    if packing == "gzip":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if packing == "bzip2":
        return cast("IO[bytes]", bz2.open(path, "rb"))
    if packing == "xz":
        return cast("IO[bytes]", lzma.open(path, "rb"))
    if packing == "zstd":
        return open_zstd(path)
    return path.open("rb", buffering=_CHUNK_BYTES)


@contextmanager
def told_damage(path: Path, packing: Packing) -> Iterator[None]:
    """Turn every way in which packed data shows damage into one error.

    Raises:
        BadFile: the packed data is damaged or stops early.
    """
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        # bzip2's damage is an OSError without a number; the system's own errors have one.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadFile(
            f"damaged {packing} data: {error}",
            where=str(path),
            fix="get the file again, or unpack what is whole of it",
        ) from error
