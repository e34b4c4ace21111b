"""Reading zstd files as a stream; unlike the library's own reader it notices a missing end."""

import io
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 17
_LARGEST_WINDOW = 1 << 31  # what `zstd --long=31` writes; the library's own limit is 2**27


class DamagedZstd(Exception):
    """The packed data is damaged or stops early."""


def open_zstd(path: Path) -> io.BufferedReader:
    """Return a stream of the unpacked bytes of all frames in the file.

    Its reads raise `DamagedZstd` at damage, and at the end of a file whose last frame has no end.
    """
    return io.BufferedReader(_Frames(path), 1 << 20)


class _Frames(io.RawIOBase):
    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._ready = b""
        self._packed = b""
        self._frame: Any = None  # the decompressor of a frame that has begun

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            self._packed = self._packed or self._file.read(_CHUNK_BYTES)
            if not self._packed:
                if self._frame is not None:
                    raise DamagedZstd("the last frame has no end")
                return 0
            self._unpack()
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def close(self) -> None:
        self._file.close()
        super().close()

    def _unpack(self) -> None:
        import zstandard

        frame = (
            self._frame
            or zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        )
        try:
            self._ready = frame.decompress(self._packed)
        except zstandard.ZstdError as error:
            raise DamagedZstd(str(error)) from error
        self._packed = frame.unused_data if frame.eof else b""
        self._frame = None if frame.eof else frame
