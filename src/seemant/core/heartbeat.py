"""A sign of life: where nothing was said on standard error for half a minute, a line says so."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

SILENCE_S = 25.0  # looked at every few seconds: no half minute passes without a line


class _Heard:
    """Standard error that knows when it was last written to."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.last = time.monotonic()

    def write(self, text: str) -> int:
        self.last = time.monotonic()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def heartbeat(label: str, *, silence_s: float = SILENCE_S) -> Iterator[None]:
    """Say "LABEL: at work, 50 s" on standard error whenever it was silent for `silence_s`."""
    before = sys.stderr
    heard, done, start = _Heard(before), threading.Event(), time.monotonic()

    def watch() -> None:
        while not done.wait(silence_s / 10):
            if time.monotonic() - heard.last >= silence_s:
                heard.write(f"{label}: at work, {time.monotonic() - start:.0f} s\n")
                heard.flush()

    thread = threading.Thread(target=watch, name="heartbeat", daemon=True)
    sys.stderr = heard
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        sys.stderr = before
