"""Whether a named answer is denied: before it in English, behind it in Hindi and Kannada."""

from collections.abc import Sequence

import regex

from seemant.probe.occurrences import Occurrence

_CLAUSE = regex.compile(
    r"[,;:!?।॥\n()]|\.(?!\d)|\b(?:but|rather|instead|however)\b"
    r"|\b(?:बल्कि|लेकिन|परंतु|किंतु|मगर|और)\b|\b(?:ಆದರೆ|ಬದಲಿಗೆ|ಬದಲು|ಮತ್ತು|ಹೊರತು)\b"
)
_TOKEN = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:'\p{L}+)?")
_WINDOW = 5  # words between a negation and what it denies, in one clause

_EN_FAR = regex.compile(r"(?:not|never|neither|nor|cannot|\w+n't)$", regex.IGNORECASE)
_EN_NEAR = frozenset({"no", "non", "without", "neither", "nor"})
_EN_AFTER = regex.compile(
    r"\s*(?:is|was|are|were|am|does|did|do|has|can)?\s*(?:not|\w*n't|never)\b"
    r"(?!\s+(?:only|just|merely))",
    regex.IGNORECASE,
)
_HI = frozenset({"नहीं", "नही", "मत", "न", "ना"})
_HI_STOP = frozenset({"है", "हैं", "हूं", "था", "थी", "थे", "हो", "होते", "होता", "होती"})
_KN = regex.compile(r"(?:ಅಲ್ಲ|ಇಲ್ಲ|ಆಗಿಲ್ಲ)(?!ಿ)|.*(?:[ಯವನದ]ಲ್ಲ|ಿಲ್ಲ)$")
_KN_STOP = regex.compile(r"(?:ಆಗಿದೆ|ಇದೆ|ಇವೆ|ಹೌದು)$|.*(?:ಾಗಿದೆ|ಾಗಿವೆ|ಿದೆ|ಿವೆ)$")
_KN_SUFFIX = regex.compile(r"ಲ್ಲ(?![ಿೂ])")


def contains_negator(alias: str) -> bool:
    """Return whether the alias is itself a denial ("not a human", "इंसान नहीं", "ಮನುಷ್ಯನಲ್ಲ")."""
    words = _TOKEN.findall(alias)
    return any(
        _EN_FAR.match(word) or word.casefold() in _EN_NEAR or word in _HI or _KN.match(word)
        for word in words
    )


def is_negated(text: str, place: Occurrence, places: Sequence[Occurrence]) -> bool:
    """Return whether the alias at `place` is denied in its clause.

    `places` are all answers found in the text: a denial belongs to the nearest of them.
    """
    if contains_negator(place.alias):
        return False
    if _KN_SUFFIX.search(place.suffix):  # ದೆಹಲಿಯಲ್ಲ
        return True
    before = _clause_before(text, place, places)
    after = _clause_after(text, place, places)
    return _denied_before(before) or _denied_after(after, place)


def _denied_before(clause: str) -> bool:
    words = [word.casefold() for word in _TOKEN.findall(clause)][-_WINDOW:]
    if not words:
        return False
    if words[-1] in _EN_NEAR or words[-1] in ("न", "ना") or words[-2:] == ["न", "कि"]:
        return True
    for number, word in enumerate(words):
        only = words[number + 1 : number + 2]
        if _EN_FAR.match(word) and only not in (["only"], ["just"], ["merely"]):
            return True
    return False


def _denied_after(clause: str, place: Occurrence) -> bool:
    if _EN_AFTER.match(clause):
        return True
    if _KN_STOP.match(place.suffix):
        return False
    words = _TOKEN.findall(clause)[:_WINDOW]
    for number, word in enumerate(words):
        if word in _HI_STOP or _KN_STOP.match(word):
            return False
        if word in _HI:
            return words[number + 1 : number + 2] != ["कि"]  # "X न कि Y" affirms X
        if _KN.match(word):
            return True
    return False


def _clause_before(text: str, place: Occurrence, places: Sequence[Occurrence]) -> str:
    begin = max((p.end for p in places if p.end <= place.start), default=0)
    cut = 0
    for edge in _CLAUSE.finditer(text[begin : place.start]):
        cut = edge.end()
    return text[begin + cut : place.start]


def _clause_after(text: str, place: Occurrence, places: Sequence[Occurrence]) -> str:
    stop = min((p.start for p in places if p.start >= place.end), default=len(text))
    clause = text[place.end : stop]
    edge = _CLAUSE.search(clause)
    return clause[: edge.start()] if edge else clause
