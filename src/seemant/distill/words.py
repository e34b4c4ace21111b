"""Words, stems and numerals: enough of three languages to compare a short answer with a text."""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import regex

from seemant.core.records import Lang
from seemant.corpus.scripts import words
from seemant.probe.normalise import normalise

_SHORTEST_STEM = 3  # code points; a shorter rest of a word names too many words
_LONGEST_ENDING = 12  # code points behind a stem: Kannada case, number and verb endings
_NUMERAL = regex.compile(r"[0-9]+(?:,[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Wordlist:
    """A language's function words, question words, number words and endings (words.json)."""

    interrogatives: frozenset[str]
    interrogative_prefixes: tuple[str, ...]
    indefinite: frozenset[str]
    indefinite_endings: tuple[str, ...]
    yes_no_first: frozenset[str]
    yes_no_endings: tuple[str, ...]
    needs_mark: bool
    how_many: tuple[str, ...]
    when: frozenset[str]
    where: frozenset[str]
    why: frozenset[str]
    times: tuple[str, ...]
    places: tuple[str, ...]
    reasons: tuple[str, ...]
    numbers: tuple[str, ...]
    stopwords: frozenset[str]
    suffixes: tuple[str, ...]


@cache
def wordlist(lang: Lang) -> Wordlist:
    """Return the word list of a language, its words folded as `tokens` folds them."""
    path = Path(__file__).parent / "data" / "words.json"
    data = json.loads(path.read_text(encoding="utf-8"))[lang]

    def folded(name: str) -> list[str]:
        return [fold(word) for word in data[name]]

    return Wordlist(
        interrogatives=frozenset(folded("interrogatives")),
        interrogative_prefixes=tuple(folded("interrogative_prefixes")),
        indefinite=frozenset(folded("indefinite")),
        indefinite_endings=tuple(folded("indefinite_endings")),
        yes_no_first=frozenset(folded("yes_no_first")),
        yes_no_endings=tuple(folded("yes_no_endings")),
        needs_mark=bool(data["needs_mark"]),
        how_many=tuple(folded("how_many")),
        when=frozenset(folded("when")),
        where=frozenset(folded("where")),
        why=frozenset(folded("why")),
        times=tuple(folded("times")),
        places=tuple(folded("places")),
        reasons=tuple(folded("reasons")),
        numbers=tuple(folded("numbers")),
        stopwords=frozenset(folded("stopwords")),
        suffixes=tuple(sorted(set(folded("suffixes")), key=len, reverse=True)),
    )


def fold(text: str) -> str:
    """Return the text as it is compared: one spelling, ASCII digits, lower case."""
    return normalise(text).casefold()


def tokens(text: str) -> list[str]:
    """Return the text's words, folded, in order."""
    return words(fold(text))


def content_words(text: str, lang: Lang) -> list[str]:
    """Return the words that carry meaning: no function words, no question words, no numerals."""
    known = wordlist(lang)
    return [
        word
        for word in tokens(text)
        if word not in known.stopwords
        and not is_interrogative(word, lang)
        and not _NUMERAL.match(word)
        and (len(word) > 1 or lang == "kn")  # a lone letter is a list mark or an initial
    ]


def is_interrogative(word: str, lang: Lang) -> bool:
    """Return whether a folded word asks; Kannada's indefinite forms ("anyone") do not."""
    known = wordlist(lang)
    if word in known.interrogatives:
        return True
    if word in known.indefinite or word.endswith(known.indefinite_endings or ("\0",)):
        return False
    return word.startswith(known.interrogative_prefixes or ("\0",))


def stem(word: str, lang: Lang) -> str:
    """Return a folded word without its longest known ending, once; short words stay whole.

    Hindi: the light stemmer of Ramanathan and Rao (2003), shortened. Kannada: case and number
    endings, then a final vowel sign. English: plural, past, -ing.
    """
    for suffix in wordlist(lang).suffixes:
        if word.endswith(suffix) and len(word) - len(suffix) >= 2:
            word = word[: -len(suffix)]
            break
    if lang == "kn" and len(word) > _SHORTEST_STEM and unicodedata.category(word[-1])[0] == "M":
        word = word[:-1]
    return word


def same_word(first: str, second: str) -> bool:
    """Return whether two stems may belong to one word: equal, or one the other plus an ending."""
    short, long = sorted((first, second), key=len)
    if short == long:
        return True
    enough = len(short) >= _SHORTEST_STEM and len(long) - len(short) <= _LONGEST_ENDING
    return enough and long.startswith(short)


def share_found(needles: Iterable[str], text: str, lang: Lang) -> float:
    """Return the share, 0 to 1, of words that occur in the text in some form; 0 for no words."""
    wanted = [stem(word, lang) for word in needles]
    there = {stem(word, lang) for word in tokens(text)}
    found = sum(any(same_word(word, other) for other in there) for word in wanted)
    return found / len(wanted) if wanted else 0.0


def numerals(text: str) -> set[str]:
    """Return the numbers written in digits of any script, as ASCII digits without commas."""
    found = (match.replace(",", "") for match in _NUMERAL.findall(fold(text)))
    return {number.lstrip("0") or "0" for number in found}


def has_number(text: str, lang: Lang) -> bool:
    """Return whether the text names a quantity, in digits or in words."""
    if numerals(text):
        return True
    known = wordlist(lang).numbers
    if lang == "kn":  # agglutinative: the number word carries its case
        return any(word.startswith(known) for word in tokens(text))
    return any(word in known for word in tokens(text))
