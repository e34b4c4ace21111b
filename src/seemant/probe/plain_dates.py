"""Dates in one form: 15/08/1947, 15 अगस्त 1947 and August 15th, 1947 are 15 August 1947.

Numeric dates are read day first, as in India, or year first (ISO). All texts are normalised.
"""

from functools import cache

import regex

from seemant.probe.normalise import normalise

_MONTHS = {
    "January": "jan जनवरी ಜನವರಿ",
    "February": "feb फरवरी फ़रवरी ಫೆಬ್ರವರಿ ಫೆಬ್ರುವರಿ",
    "March": "mar मार्च ಮಾರ್ಚ್",
    "April": "apr अप्रैल ಏಪ್ರಿಲ್",
    "May": "मई ಮೇ",
    "June": "jun जून ಜೂನ್",
    "July": "jul जुलाई ಜುಲೈ",
    "August": "aug अगस्त ಆಗಸ್ಟ್ ಆಗಸ್ಟ",
    "September": "sep sept सितंबर सितम्बर ಸೆಪ್ಟೆಂಬರ್",
    "October": "oct अक्टूबर अक्तूबर ಅಕ್ಟೋಬರ್",
    "November": "nov नवंबर नवम्बर ನವೆಂಬರ್",
    "December": "dec दिसंबर दिसम्बर ಡಿಸೆಂಬರ್",
}
_NAMES = list(_MONTHS)
_EDGE = r"(?![\p{L}\p{M}\p{N}])"
_START = r"(?<![\p{L}\p{M}\p{N}])(?<!\p{N}[.,:/-])"
_NUMERIC = regex.compile(rf"{_START}(\d{{1,2}})([/.-])(\d{{1,2}})\2(\d{{4}})(?![/.,:-]?\d){_EDGE}")
_ISO = regex.compile(rf"{_START}(\d{{4}})-(\d{{2}})-(\d{{2}})(?![/.,:-]?\d)(?=[^\d]|$)")


def plain_dates(text: str) -> str:
    """Return a normalised text with its dates as day, English month and, where it is told, year."""
    text = _NUMERIC.sub(lambda found: _date(found, found[1], found[3], found[4]), text)
    text = _ISO.sub(lambda found: _date(found, found[3], found[2], found[1]), text)
    text = _day_first().sub(
        lambda found: f"{int(found[1])} {_month(found[2])}{_year(found[3])}", text
    )
    return _month_first().sub(
        lambda found: f"{int(found[2])} {_month(found[1])}{_year(found[3])}", text
    )


def _date(found: regex.Match[str], day: str, month: str, year: str) -> str:
    if not (1 <= int(day) <= 31 and 1 <= int(month) <= 12):
        return found[0]
    return f"{int(day)} {_NAMES[int(month) - 1]} {year}"


def _year(year: str | None) -> str:
    return f" {year}" if year else ""


def _month(word: str) -> str:
    return _words()[word.casefold()]


@cache
def _words() -> dict[str, str]:
    listed = {name: [name, *line.split()] for name, line in _MONTHS.items()}
    return {normalise(word).casefold(): name for name, words in listed.items() for word in words}


@cache
def _one_of() -> str:
    return "|".join(map(regex.escape, sorted(_words(), key=len, reverse=True)))


@cache
def _day_first() -> regex.Pattern[str]:
    return regex.compile(
        rf"{_START}(\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -]({_one_of()})\.?"
        rf"(?:[ ,-]+(\d{{4}}))?{_EDGE}",
        regex.IGNORECASE,
    )


@cache
def _month_first() -> regex.Pattern[str]:
    return regex.compile(
        rf"(?<![\p{{L}}\p{{M}}\p{{N}}])(?<!\d )({_one_of()})\.? (\d{{1,2}})(?:st|nd|rd|th)?"
        rf"(?:,? (\d{{4}}))?(?![.,:/-]?\d){_EDGE}",
        regex.IGNORECASE,
    )
