"""Text that grows token by token: no broken character, no stop string, not even half of one."""

import codecs
from collections.abc import Callable, Sequence


def utf8_pieces(piece: Callable[[int], bytes]) -> Callable[[int], str]:
    """Return a function that takes token ids one by one and gives the text each one completes.

    A character whose bytes come in several tokens appears with its last byte; one that is never
    completed is left out; bytes that cannot be UTF-8 become U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return lambda token: decoder.decode(piece(token))


class StopFilter:
    """Holds text back while it may yet become a stop string, and ends at the first one."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Return what can be shown now that `text` has come; sets `stopped` at a stop string."""
        self._held += text
        found = [at for at in (self._held.find(word) for word in self._stop) if at >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = max((_overlap(self._held, word) for word in self._stop), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def flush(self) -> str:
        """Return what was held back: the text has ended without a stop string."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, word: str) -> int:
    """Return the length of the longest end of `text` with which `word` begins."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0
