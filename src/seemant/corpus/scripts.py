"""Letters by Unicode script: which script a text is in, and its words."""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from seemant.core.records import LANGUAGES, Lang

if TYPE_CHECKING:
    import regex

SCRIPT_NAMES: dict[Lang, str] = {"hi": "Devanagari", "kn": "Kannada", "en": "Latin"}
LANGUAGE_NAMES: dict[Lang, str] = {"hi": "Hindi", "kn": "Kannada", "en": "English"}

# Unicode 16 blocks. Only letters and combining marks in them count: digits, dandas and other
# punctuation are shared between languages and say nothing.
_RANGES: dict[Lang, tuple[tuple[int, int], ...]] = {
    "hi": ((0x0900, 0x097F), (0xA8E0, 0xA8FF)),
    "kn": ((0x0C80, 0x0CFF),),
    "en": ((0x0041, 0x005A), (0x0061, 0x007A), (0x00C0, 0x024F), (0x1E00, 0x1EFF)),
}
_ASCII_LETTER = re.compile("[A-Za-z]")


def script_share(text: str, lang: Lang) -> float:
    """Return the share, 0 to 1, of the text's letters that are in the script of `lang`.

    Letters of every script count in the denominator; vowel signs and viramas count as letters.
    A text without any letter (digits, punctuation, nothing) has share 0.0: ask `n_letters` first
    where that is not a failure.
    """
    counts = _letters(text)
    total = counts.total()
    return counts[lang] / total if total else 0.0


def detect_lang(text: str) -> Lang | None:
    """Return the language whose script has the most letters, or None when no known script has any.

    By script alone: Marathi reads as "hi", Tulu as "kn", French as "en". Ties go to the first of
    `LANGUAGES`.
    """
    if clear := _clear_majority(text):
        return clear
    counts = _letters(text)
    best = max(LANGUAGES, key=lambda lang: counts[lang])
    return best if counts[best] else None


def n_letters(text: str) -> int:
    """Return how many letters and combining marks, of any script, the text has."""
    return _letters(text).total()


def words(text: str) -> list[str]:
    """Return the text's words: runs of letters, combining marks and digits."""
    return _word().findall(text)


@cache
def _word() -> "regex.Pattern[str]":
    # `re` splits Indic words at every vowel sign, because its \w leaves out combining marks. ZWNJ
    # and ZWJ shape letters inside a word; an apostrophe between letters belongs to it.
    import regex  # `corpus sample` starts without it

    return regex.compile(r"[\p{L}\p{M}\p{N}\u200c\u200d]+(?:['’][\p{L}\p{M}]+)*")


def _letters(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for character, n in Counter(text).items():  # each distinct character is looked up once
        if script := _script(character):
            counts[script] += n
    return counts


def _clear_majority(text: str) -> Lang | None:
    """Return what four byte counts prove, at a fifth of the cost of counting letters; else None.

    In UTF-8, E0 A4 begins U+0900-093F and E0 B2 begins U+0C80-0CBF: letters and marks only, so
    their number is a lower bound. E0 A5 and E0 B3 begin the other halves of the two blocks. Every
    further byte could at most be one Latin letter.
    """
    if text.isascii():
        return "en" if _ASCII_LETTER.search(text) else None
    data = text.encode("utf-8", errors="replace")
    hindi, kannada = data.count(b"\xe0\xa4"), data.count(b"\xe0\xb2")
    all_hindi = hindi + data.count(b"\xe0\xa5")
    all_kannada = kannada + data.count(b"\xe0\xb3")
    rest = len(data) - 3 * (all_hindi + all_kannada)
    if hindi > max(all_kannada, rest):
        return "hi"
    return "kn" if kannada > max(all_hindi, rest) else None


@lru_cache(maxsize=8192)
def _script(character: str) -> str:
    """Return "hi", "kn", "en", "other" for a letter or mark; "" for anything else."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    point = ord(character)
    for lang, ranges in _RANGES.items():
        if any(low <= point <= high for low, high in ranges):
            return lang
    return "other"
