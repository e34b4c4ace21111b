"""Words that are looked up, from `data/words.toml`: numbers, months, function words."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from seemant.probe.normalise import normalise


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Normalised, case-folded words.

    digits: number word -> ASCII digits. months, tens: of dates and of English numbers.
    not_after_number: behind a number they say that it counts or dates something else.
    function_words: they say nothing about a question's subject.
    """

    digits: Mapping[str, str]
    months: frozenset[str]
    tens: frozenset[str]
    not_after_number: frozenset[str]
    function_words: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """Return the shipped words."""
    text = (files("seemant.probe") / "data" / "words.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    lists = {name: _words(line) for name, line in data["lists"].items()}
    return Lexicon(
        digits={word: digits for digits, line in data["numbers"].items() for word in _words(line)},
        months=frozenset(lists["months"]),
        tens=frozenset(lists["tens"]),
        not_after_number=frozenset(lists["multipliers"] + lists["counted"] + lists["months"]),
        function_words=frozenset(lists["function_words"]),
    )


def digits_of(word: str) -> str | None:
    """Return the digits of a normalised number word, None for any other word."""
    return lexicon().digits.get(word.casefold())


def _words(line: str) -> list[str]:
    return [normalise(word).casefold() for word in line.split()]
