"""Numbers as words and digits, and when a number in an answer counts something else."""

from functools import cache

import regex

from seemant.probe.lexicon import digits_of, lexicon

_ONE = frozenset({"one", "a", "एक", "ಒಂದು"})  # "one hundred" is a hundred
_DIGITS = regex.compile(r"-?\d+(?:\.\d+)?")
_YEAR = regex.compile(r"1\d{3}|20\d{2}")
# Where the question itself asks for a share or an amount, its sign belongs to the answer.
_ASKS_SHARE = regex.compile(r"%|percent|per cent|प्रतिशत|फीसदी|ಪ್ರತಿಶತ|ಶೇಕಡ", regex.IGNORECASE)
_ASKS_AMOUNT = regex.compile(
    r"[₹$]|rupee|dollar|price|cost|\bRs\b|रुप|कीमत|दाम|ರೂಪಾಯಿ|ಬೆಲೆ|ದರ", regex.IGNORECASE
)
_ORDINAL = regex.compile(r"(?:st|nd|rd|th)\b|ನೇ|ನೆಯ|वां|वीं|वें")
# What stands between two numbers that are to be reckoned with, normalised. "5 - 10" may be a range
# as well, but neither of its ends is a result.
_BETWEEN = (
    r"(?:\s*[+*×÷/·]\s*|\s+[x–-]\s+|\s+(?:plus|minus|times|less|from|out of|divided by|"
    r"multiplied by|added to|में से|में|से|धन|ऋण|गुणा|जमा|घटा|जोड|ಕ್ಕೆ|ರಿಂದ|ರಲ್ಲಿ|ಗುಣಿಸು|ಕೂಡಿಸು|ಕಳೆ)\s+|"
    r"(?:ಕ್ಕೆ|ರಿಂದ|ರಲ್ಲಿ)\s+)"
)
# Behind a number these leave no doubt that another operand follows.
_SURE = r"(?:\s*[+*×÷/·]\s*|\s+x\s+|\s+(?:plus|minus|times|divided by|multiplied by|धन|ऋण|गुणा)\s+)"
_AND = r"\s+(?:and|और|ಮತ್ತು)\s+"
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def is_number(alias: str) -> bool:
    """Return whether a normalised alias is a number: digits, a decimal, or one number word."""
    return _DIGITS.fullmatch(alias) is not None or digits_of(alias) is not None


def is_operand(text: str, start: int, end: int, question: str) -> bool:
    """Return whether the number at text[start:end] is reckoned with, so that it is no result.

    "11 + 6 = 17" does not answer 11, nor does "10 में से 5" answer 10. "5 and 6" is a sum only where
    the question itself puts its numbers so. All texts are normalised.
    """
    operator = _BETWEEN
    if regex.search(rf"(?:{_number()}){_AND}(?:{_number()})", question, regex.IGNORECASE):
        operator = rf"(?:{_BETWEEN}|{_AND})"
    after = regex.compile(rf"{operator}(?:{_number()})", regex.IGNORECASE)
    if after.match(text, end):
        return True
    before = rf"(?<![\p{{L}}\p{{M}}\p{{N}}])(?:{_number()}){_SURE}$"
    return regex.search(before, text[:start], regex.IGNORECASE) is not None


@cache
def _number() -> str:
    """Return a pattern of digits and number words; Kannada ones bend: ಆರು, ಆರರ, ಆರನ್ನು."""
    words = sorted(lexicon().digits, key=len, reverse=True)
    forms = [
        regex.escape(word[:-1] if word.endswith("\u0cc1") else word)
        + (r"\p{Kannada}*" if regex.match(r"\p{Kannada}", word) else r"(?![\p{L}\p{M}])")
        for word in words
    ]
    return "|".join([r"\p{N}+", *forms])


def counts_something_else(text: str, start: int, end: int, question: str) -> bool:
    """Return whether the number at text[start:end] is part of a date, an amount or a bigger number,
    or an operand.

    `question` holds the words that may be counted after all. All texts are normalised.
    """
    if is_operand(text, start, end, question):
        return True
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
    if close_before and last in lexicon().months and not _YEAR.fullmatch(word):
        return True  # the day of a date; "15 August 1947" names the year
    if close_before and last in lexicon().tens:  # twenty-seven is not seven
        return True
    multiplier = digits_of(word) == "100"
    if multiplier and close_before and (digits_of(last) or last.isdecimal()) and last not in _ONE:
        return True  # two hundred is not a hundred
    shared = regex.search(r"%\s?$", text[:start]) or regex.match(r"\s?%", text[end:])
    if shared and not _ASKS_SHARE.search(question):
        return True
    if regex.search(r"[₹$]\s?$", text[:start]) and not _ASKS_AMOUNT.search(question):
        return True
    return _ORDINAL.match(text[end:]) is not None
