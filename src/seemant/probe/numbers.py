"""Numbers as words and digits, and when a number in an answer counts something else."""

import regex

from seemant.probe.lexicon import digits_of, lexicon

_ONE = frozenset({"one", "a", "एक", "ಒಂದು"})  # "one hundred" is a hundred
_ORDINAL = regex.compile(r"(?:st|nd|rd|th)\b|ನೇ|ನೆಯ|वां|वीं|वें")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def is_number(alias: str) -> bool:
    """Return whether a normalised alias is a number: digits, or one number word."""
    return alias.isdecimal() or digits_of(alias) is not None


def counts_something_else(text: str, start: int, end: int, question: str) -> bool:
    """Return whether the number at text[start:end] is part of a date, a sum or a bigger number.

    `question` holds the words that may be counted after all. All texts are normalised.
    """
    before = [word.casefold() for word in _WORD.findall(text[max(0, start - 40) : start])]
    after = [word.casefold() for word in _WORD.findall(text[end : end + 40])]
    asked = {word.casefold() for word in _WORD.findall(question)}
    word = text[start:end].casefold()
    last = before[-1] if before else ""
    following = after[0] if after else ""
    close_before = regex.search(r"[\p{L}\p{M}\p{N}][ -]?$", text[:start]) is not None
    close_after = regex.match(r"[ -]?[\p{L}\p{M}\p{N}]", text[end:]) is not None
    if close_after and following in lexicon().not_after_number - asked:
        return True
    if close_before and last in lexicon().months:
        return True
    if close_before and last in lexicon().tens:  # twenty-seven is not seven
        return True
    multiplier = digits_of(word) == "100"
    if multiplier and close_before and (digits_of(last) or last.isdecimal()) and last not in _ONE:
        return True  # two hundred is not a hundred
    if regex.search(r"[₹$%]\s?$", text[:start]) or regex.match(r"\s?%", text[end:]):
        return True
    return _ORDINAL.match(text[end:]) is not None
