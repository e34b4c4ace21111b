"""Numbers in one form, so that they are compared as numbers: 1,00,000 and 1 लाख are 100000.

Only what can be read in one way is rewritten. "100.000" stays: it is a hundred with three decimals
as often as a hundred thousand; "1.000.000" has one reading. All texts are normalised.
"""

from decimal import Decimal
from functools import cache

import regex

from seemant.probe.lexicon import lexicon
from seemant.probe.normalise import normalise
from seemant.probe.plain_dates import plain_dates

_ALONE = r"(?<![\p{L}\p{M}\p{N}])(?<!\p{N}[.,:/])"  # nothing of a longer number before it
_INDIAN, _WESTERN = r"\d{1,2}(?:,\d{2})*,\d{3}", r"\d{1,3}(?:,\d{3})+"
_GROUPED = regex.compile(rf"{_ALONE}(?:{_INDIAN}|{_WESTERN})(?![,]?\d)")
_DOTTED = regex.compile(
    rf"{_ALONE}(?:\d{{1,3}}(?:\.\d{{3}}){{2,}}|\d{{1,3}}(?:\.\d{{3}})+(?=,\d\d?(?!\d)))(?!\.?\d)"
)
_APART = regex.compile(r"(?<=\d)'(?=\d{3}(?!\d))")
_DECIMAL = regex.compile(rf"{_ALONE}(\d+)\.(\d*?)0*(?![.,:/]?\d)")
_MINUS = regex.compile(
    r"(?<![\p{L}\p{M}\p{N}])(?<!\p{N}\s)(?:(?:minus|negative|माइनस|ऋण|ಮೈನಸ್|ಋಣ)\s+|[–—−]\s?)(?=\d)",
    regex.IGNORECASE,
)
_PERCENT = regex.compile(
    r"(?<=\d)\s*(?:%|percent|per cent|प्रतिशत|फीसदी|ಪ್ರತಿಶತ|ಶೇಕಡಾ)(?![\p{Latin}\p{M}])",
    regex.IGNORECASE,
)
_PERCENT_BEFORE = regex.compile(r"(?<![\p{L}\p{M}])(?:ಶೇಕಡಾ|ಶೇಕಡ|ಶೇ)\.?\s*(\d+(?:\.\d+)?)(?!\d|%)")
_TIMES = {
    100: "hundred सौ ನೂರು",
    1000: "thousand हज़ार हजार ಸಾವಿರ k",
    10**5: "lakh lakhs lac lacs लाख ಲಕ್ಷ",
    10**6: "million millions मिलियन ಮಿಲಿಯನ್",
    10**7: "crore crores करोड़ ಕೋಟಿ",
    10**9: "billion billions अरब बिलियन ಬಿಲಿಯನ್",
    10**12: "trillion trillions ट्रिलियन",
}
_HALVES = {"डेढ़": "1.5", "ढाई": "2.5", "ಒಂದೂವರೆ": "1.5", "ಎರಡೂವರೆ": "2.5"}


def plain_numbers(text: str) -> str:
    """Return a normalised text with its numbers in digits without groups, 1.50 as 1.5, and dates.

    Rewritten are groups of India, of the West, and of dots where there are several; lakh, crore,
    thousand and their like behind a number; percent; minus in words.
    """
    text = _APART.sub("", plain_dates(text))
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _DOTTED.sub(lambda found: found[0].replace(".", ""), text)
    text = _DECIMAL.sub(lambda found: f"{found[1]}.{found[2]}" if found[2] else found[1], text)
    text = _scaled().sub(_product, text)
    text = _MINUS.sub("-", text)
    text = _PERCENT.sub("%", text)
    return _PERCENT_BEFORE.sub(r"\1%", text)


def multiplier(word: str) -> str | None:
    """Return the digits of a normalised word such as thousand or लाख, None for any other."""
    times = _multipliers().get(word.casefold())
    return str(times) if times else None


@cache
def _multipliers() -> dict[str, int]:
    return {
        normalise(word).casefold(): times for times, line in _TIMES.items() for word in line.split()
    }


@cache
def _values() -> dict[str, str]:
    """Return the number words that may stand before a thousand, a lakh or more."""
    small = {word: digits for word, digits in lexicon().digits.items() if len(digits) < 3}
    hundred = dict.fromkeys(("hundred", "a hundred", "one hundred"), "100") | {"a": "1"}
    return small | hundred | {normalise(word).casefold(): value for word, value in _HALVES.items()}


@cache
def _scaled() -> regex.Pattern[str]:
    words = "|".join(map(regex.escape, sorted(_values(), key=len, reverse=True)))
    large = [word for word, times in _multipliers().items() if times >= 1000]
    behind_word = "|".join(map(regex.escape, sorted(large, key=len, reverse=True)))
    behind_digits = "|".join(map(regex.escape, sorted(_multipliers(), key=len, reverse=True)))
    edge = r"(?![\p{L}\p{M}])"
    term = (
        rf"(?:(?P<n>\d+(?:\.\d+)?)[\s-]?(?P<by>{behind_digits}){edge}"
        rf"|(?P<n>{words})[\s-](?P<by>{behind_word}){edge})"
    )
    return regex.compile(rf"{_ALONE}{term}(?:\s(?:and\s)?{term})*", regex.IGNORECASE)


def _product(found: regex.Match[str]) -> str:
    """Return the sum of the terms where each is smaller than the one before; else leave them."""
    total, last = Decimal(0), None
    for number, by in zip(found.captures("n"), found.captures("by"), strict=True):
        times = _multipliers()[by.casefold()]
        if last is not None and times >= last:
            return found[0]
        total += Decimal(_values().get(number.casefold(), number)) * times
        last = times
    return format(total.normalize(), "f")
