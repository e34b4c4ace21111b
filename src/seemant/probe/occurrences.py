"""Where an alias stands in a text as a word of its own, with the case endings of its language."""

from dataclasses import dataclass
from functools import lru_cache

import regex

from seemant.core.records import Lang
from seemant.probe.aksharas import letters
from seemant.probe.numbers import is_number

MAX_SUFFIX = 4  # aksharas of case endings on a Kannada stem (evaluation notes, section 5)

# What a Kannada ending begins with. ಯ ವ ನ ದ ರ: glides and case consonants (ದೆಹಲಿಯಾಗಿದೆ,
# ಪಶ್ಚಿಮದಲ್ಲಿ, ಟ್ಯಾಗೋರರು); ಗೆ ಕ್ಕೆ: dative; ಗಳ: plural; ಲ್ಲಿ: locative. Anything else begins another
# word (ನೀಲ, blue, is not ನೀಲಗಿರಿ, the Nilgiris).
_KN_FULL = r"(?:ಯ|ವ|ನ(?!ೂರ)|ದ|ರ|ಗೆ|ಗಳ|ಕ್ಕ|ಲ್ಲ)"
# After a final ು or virama has given way to a vowel: ಬೆಂಗಳೂರು -> ಬೆಂಗಳೂರಿನ, ಬೆಂಗಳೂರಾಗಿದೆ.
_KN_ELIDED = r"(?:ಿನ|ಿಗೆ|ಿಂದ|ಿದೆ|ಿವೆ|ಾಗಿ|ಾದ|ೇ(?!\p{M})|ೂ(?!\p{M})|ೆಂದ|ಲ್ಲ|ನ್ನ|ನಲ್ಲ|ರ|ವರ)"
# Numbers take few endings; others make other words (ಏಳು, seven, but ಏಳಿಗೆ, progress).
_KN_NUMBER = r"(?:ಾಗಿ|ಿವೆ|ಿದೆ|ೇ(?!\p{M})|ೆಂದ|ನ್ನ)"
# Units that are written at a number: "8849m", "37°C".
_UNIT = r"(?:[mck]?m|[mk]?g|m?l|kmph|km/h|ft|hrs?|min|sec|[KMGT]B|[kM]?W|Hz|V|°?C|°?F|rs|INR)"
_EDGE = r"(?![\p{L}\p{M}\p{N}])"
_START = r"(?<![\p{L}\p{M}\p{N}])"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An alias at text[start:end]; `suffix` is the ending that follows its stem there."""

    alias: str
    start: int
    end: int
    suffix: str = ""


def find(text: str, alias: str, lang: Lang) -> list[Occurrence]:
    """Return where a normalised alias stands in a normalised text, in order."""
    if not alias:
        return []
    places = []
    for found in _pattern(alias, lang).finditer(text):
        suffix = found["suffix"] or ""
        if len(letters(suffix)) <= MAX_SUFFIX:
            places.append(Occurrence(alias, found.start(), found.end(), suffix))
    return places


def standing_alone(text: str, place: Occurrence) -> bool:
    """Return whether a distractor is meant as the name that it is.

    "Nice" is a city and "nice" is not: in a text that uses capitals, a capitalised distractor
    must have its own.
    """
    alias = place.alias
    if not alias[0].isupper() or text.casefold() == text:
        return True
    return text[place.start].isupper()


@lru_cache(maxsize=4096)
def _pattern(alias: str, lang: Lang) -> regex.Pattern[str]:
    body = r"[\s-]+".join(regex.escape(word) for word in alias.split())
    if regex.fullmatch(r"-?\d+(?:\.\d+)?%?", alias):
        return regex.compile(
            rf"(?<![\p{{L}}\p{{M}}\p{{N}}])(?<!\p{{N}}[.,:/–-])(?<![\p{{N}}\s][-–]|^[-–])"
            rf"{regex.escape(alias)}(?P<suffix>)(?![.,:/–-]?\p{{N}})"
            rf"(?:(?!\p{{Latin}})|(?={_UNIT}(?![\p{{L}}\p{{N}}])))"
        )
    last = alias[-1]
    if regex.match(r"\p{Kannada}", last):
        return regex.compile(_START + _kannada(body, alias) + _EDGE)
    if regex.match(r"\p{Devanagari}", last):
        return regex.compile(_START + _hindi(body, alias) + _EDGE)
    letters_only = [char for char in alias if char.isalpha()]
    capitals = len(letters_only) > 1 and all(char.isupper() for char in letters_only)
    plural = "" if capitals or len(letters_only) < 3 else r"(?:'s|es|s)?"
    # An acronym may carry an Indic ending (AIಯು), never more Latin letters (AId).
    edge = r"(?![\p{Latin}\p{M}\p{N}])"
    flags = regex.V0 if capitals else regex.IGNORECASE
    return regex.compile(rf"{_START}{body}(?P<suffix>{plural}){edge}", flags)


def _kannada(body: str, alias: str) -> str:
    number = is_number(alias)
    full = "" if number else rf"(?:{_KN_FULL}[\p{{Kannada}}]*)"
    forms = [rf"{body}(?P<suffix>{full}{'?' if full else ''})"]
    if alias[-1] in "\u0cc1\u0ccd" and len(letters(alias)) > 1:
        stem = body[: -len(regex.escape(alias[-1]))]
        endings = _KN_NUMBER if number else _KN_ELIDED
        forms.append(rf"{stem}(?P<suffix>{endings}[\p{{Kannada}}]*)")
    return "(?:" + "|".join(forms) + ")"


def _hindi(body: str, alias: str) -> str:
    cut = body[:-1]
    if alias.endswith("ा"):  # नीला, नीले, नीली
        return rf"{cut}(?P<suffix>ा|े|ी|ों)"
    if alias.endswith("ी"):  # स्याही, स्याहियों
        return rf"{cut}(?P<suffix>ी|ियां|ियों)"
    if regex.search(r"\p{L}$", alias):  # कंप्यूटर, कंप्यूटरों
        return rf"{body}(?P<suffix>(?:ों|ें)?)"
    return rf"{body}(?P<suffix>)"
