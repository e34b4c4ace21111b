"""From what a teacher wrote to a question and an answer; never an exception."""

import json
from dataclasses import dataclass
from typing import Any

import regex

from seemant.core.records import Lang
from seemant.models.prompts import LABELS

_QUESTION_KEYS = ("instruction", "question")
_ANSWER_KEYS = ("output", "answer", "response")
_MOST_BRACES = 50  # a loop of "{" costs no more than this many attempts at parsing


@dataclass(frozen=True, slots=True)
class Parsed:
    """A question and its answer. `ended`: a line end or the like shows that the answer is whole."""

    question: str
    answer: str
    ended: bool


def parse_completion(text: str, lang: Lang) -> Parsed | None:
    """Return the pair in a base model's continuation, or None.

    The text begins with the question; on a line of its own the answer's label follows, then the
    answer up to the line's end. Both label and colon may carry spaces; only the first counts.
    """
    label = regex.escape(LABELS[lang][2])
    found = regex.match(rf"\s*([^\n]+?)[ \t]*\n[ \t]*{label}[ \t]*[:：][ \t]*([^\n]*)(\n)?", text)
    if found is None:
        return None
    question, answer = found[1].strip(), found[2].strip()
    return Parsed(question, answer, found[3] is not None) if question and answer else None


def parse_json(text: str) -> Parsed | None:
    """Return the pair in a chat model's reply, or None.

    The first JSON object with a question and an answer counts, wherever it stands: bare, in a
    code fence, behind words.
    """
    decoder = json.JSONDecoder()
    for brace, _ in zip(regex.finditer(r"\{", text), range(_MOST_BRACES), strict=False):
        try:
            value, _ = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        question, answer = _text(value, _QUESTION_KEYS), _text(value, _ANSWER_KEYS)
        if question and answer:
            return Parsed(question, answer, True)
    return None


def _text(value: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        if isinstance(found := value.get(key), str):
            return found.encode(errors="replace").decode().strip()  # a lone surrogate has no UTF-8
    return ""
