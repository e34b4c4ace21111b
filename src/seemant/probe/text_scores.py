"""What a reply looks like, whatever it says: its script, its repetition, its length."""

import zlib
from collections.abc import Sequence

import regex

from seemant.core.records import Probe
from seemant.corpus.scripts import n_letters, script_share
from seemant.probe.aksharas import letters, words

LOOP_TIMES = 3  # the same piece three times in a row is a loop (evaluation notes, section 3)
_MIN_LOOP = 6  # units in all: "ha ha ha" in Kannada names has fewer
_MIN_ONE_LOOP = 8  # the same akshara: 10,000,000 has seven zeros

_URL = regex.compile(r"https?://\S+|www\.\S+")
_LATIN_WORD = regex.compile(r"\p{Latin}[\p{Latin}\p{M}']*")
_MAX_ACRONYM = 6  # letters: AI, RAM, UNESCO stand in any language's text


def script_followed(reply: str, probe: Probe) -> float | None:
    """Return the share, 0 to 1, of the reply's letters in the script of the probe's language.

    Left aside: digits, addresses, Latin words that the question or an accepted answer holds, and
    acronyms. A reply of nothing but these shows no script, so its share is None: not measured.
    """
    given = " ".join((probe.question, *probe.accepted))
    allowed = {word.casefold() for word in _LATIN_WORD.findall(given)}

    def keep(found: "regex.Match[str]") -> str:
        word = found[0]
        acronym = word.isupper() and 2 <= len(word) <= _MAX_ACRONYM
        return " " if acronym or word.casefold() in allowed else word

    rest = _URL.sub(" ", reply)
    if probe.lang != "en":
        rest = _LATIN_WORD.sub(keep, rest)
    return script_share(rest, probe.lang) if n_letters(rest) else None


def repetition(reply: str) -> float:
    """Return the larger seq-rep-4 of the reply, over aksharas and over words, 0 to 1.

    seq-rep-n = 1 - |unique n-grams| / |n-grams| (Welleck et al., arXiv 1908.04319, section 6),
    over aksharas and words as model tokens differ between tokenizers. Latin letters are left to
    the words: four of them in a row come again in any text.
    """
    indic = [each for each in letters(reply) if not regex.match(r"\p{Latin}", each)]
    return max(seq_rep(indic), seq_rep([word.casefold() for word in words(reply)]))


def seq_rep(units: Sequence[str], n: int = 4) -> float:
    """Return 1 - unique / all of the n-grams of `units`; 0.0 where there is none."""
    grams = [tuple(units[at : at + n]) for at in range(len(units) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def loops(reply: str) -> bool:
    """Return whether a piece of the reply is said at least three times in a row."""
    said = [word.casefold() for word in words(reply)]
    return _periodic(letters(reply), _MIN_ONE_LOOP) or _periodic(said, _MIN_LOOP)


def _periodic(units: Sequence[str], min_alike: int) -> bool:
    """Return whether some run of `units` has a period p and at least 3 p units.

    min_alike: units needed where all are alike. The last repetition may be cut off by the length
    limit, so a run need not end on a whole one.
    """
    for period in range(1, len(units) // LOOP_TIMES + 1):
        needed = max(LOOP_TIMES * period, min_alike if period == 1 else _MIN_LOOP)
        run = period
        for at in range(period, len(units)):
            run = run + 1 if units[at] == units[at - period] else period
            piece = units[at - period + 1 : at + 1]
            if run >= needed and (period == 1 or len(set(piece)) > 1):
                return True
    return False


def compression_ratio(reply: str) -> float:
    """Return bytes / deflated bytes: near 1 for a short text, high for a repeated one.

    After Shaib et al., arXiv 2403.00553. Reported only: it depends on length, so no rule uses it.
    """
    data = reply.encode()
    return len(data) / len(zlib.compress(data, 9)) if data else 0.0
