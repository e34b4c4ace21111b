"""What of a reply is the prompt said again, or the next turn of a conversation it made up."""

import regex

from seemant.core.sequences import n_shared
from seemant.probe.lexicon import digits_of

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:'\p{L}+)?")
_LABELS = r"(?:answer|ans|उत्तर|जवाब|ಉತ್ತರ)"
_LABEL = regex.compile(rf"\s*{_LABELS}\s*[:：]\s*", regex.IGNORECASE)
_ANY_LABEL = regex.compile(rf"{_LABELS}\s*(?:[:：]|$)", regex.IGNORECASE)
_NEXT_TURN = regex.compile(
    r"\n\s*(?:question|प्रश्न|सवाल|ಪ್ರಶ್ನೆ|user|human)\s*\d*\s*[:：]", regex.IGNORECASE
)
_OR = frozenset({"or", "या", "ಅಥವಾ"})
_ONE = "1"  # एक and ಒಂದು are articles as well as a number
# Two words in common happen by chance; three in the question's order are a copy.
_MIN_RUN = 3


def strip_echo(text: str, question: str) -> str:
    """Return the reply without a made-up next turn and without runs copied from the question.

    A run is at least three words in the question's order, or the whole question. Both texts are
    normalised.
    """
    text = _NEXT_TURN.split(text, maxsplit=1)[0]
    text = _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
    return _without(text, copied_spans(text, question))


def own_words(text: str, question: str) -> str:
    """Return what a reply says of its own: neither the question's words nor answer labels."""
    return _ANY_LABEL.sub(" ", _without(text, copied_spans(text, question))).strip()


def only_echoes(text: str, question: str) -> bool:
    """Return whether a reply has words, and every one of them is a word of the question.

    "Karnataka is the capital of Karnataka" says nothing that was not asked, in whatever order. A
    number says something even where the question holds it. Both texts are normalised.
    """
    asked = {word.casefold() for word in _WORD.findall(question)}
    said = [word.casefold() for word in _WORD.findall(_ANY_LABEL.sub(" ", text))]
    return bool(said) and all(word in asked and not _is_number(word) for word in said)


def chooses(text: str, question: str) -> bool:
    """Return whether a reply takes one side of a question such as "human or something else?".

    There an answer is made of the question's words. One that says "or" again chooses nothing.
    """
    asked = {word.casefold() for word in _WORD.findall(question)}
    said = {word.casefold() for word in _WORD.findall(text)}
    return bool(asked & _OR) and bool(said) and not said & _OR


def _is_number(word: str) -> bool:
    return word.isdecimal() or digits_of(word) not in (None, _ONE)


def echo_share(text: str, question: str) -> float:
    """Return the share of the reply's words that stand in runs copied from the question."""
    words = list(_WORD.finditer(text))
    if not words:
        return 0.0
    spans = copied_spans(text, question)
    copied = sum(any(a <= word.start() < b for a, b in spans) for word in words)
    return copied / len(words)


def copied_spans(text: str, question: str) -> list[tuple[int, int]]:
    """Return where runs of the question's words stand in the text, longest runs first found."""
    asked = [word.casefold() for word in _WORD.findall(question)]
    found = list(_WORD.finditer(text))
    said = [word[0].casefold() for word in found]
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(said):
        length = max((n_shared(said[at:], asked[j:]) for j in range(len(asked))), default=0)
        if length and length >= min(_MIN_RUN, len(asked)):
            spans.append((found[at].start(), found[at + length - 1].end()))
            at += length
        else:
            at += 1
    return spans


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = text[:start] + " " + text[end:]
    return text.strip()
