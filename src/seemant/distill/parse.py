"""From what a teacher wrote to a question and an answer; never an exception."""

import json
from dataclasses import dataclass
from typing import Any

import regex

from seemant.core.records import Lang
from seemant.distill.near_json import mended
from seemant.models.prompts import LABELS

_QUESTION_KEYS = ("instruction", "question")
_ANSWER_KEYS = ("output", "answer", "response")
_FORM = ("the question", "the answer")  # the request's own words, which models repeat
_DECODER = json.JSONDecoder(strict=False)  # a line end inside a string stands for itself
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
    code fence, behind words; the request's own form repeated is none. Where no object is whole,
    near-JSON is mended (`near_json`).
    """
    for brace, _ in zip(regex.finditer(r"\{", text), range(_MOST_BRACES), strict=False):
        try:
            value, _ = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        if found := _pair(value):
            return found
    return _pair(mended(text, (*_QUESTION_KEYS, *_ANSWER_KEYS)))


def json_fault(text: str) -> str:
    """Return what is wrong with the JSON of a reply in which no pair was found; "" without JSON."""
    at = text.find("{")
    if at == -1:
        return ""
    try:
        _DECODER.raw_decode(text, at)
    except RecursionError:
        return "JSON nested too deep"
    except json.JSONDecodeError as error:
        ended = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        return "JSON that breaks off" if ended else f"broken JSON: {error.msg}"
    return "JSON without instruction and output"


def _pair(value: dict[str, Any]) -> Parsed | None:
    given = {str(key).strip().lower(): each for key, each in value.items()}
    question, answer = _text(given, _QUESTION_KEYS), _text(given, _ANSWER_KEYS)
    if not question or not answer or (question, answer) == _FORM:
        return None
    return Parsed(question, answer, True)


def _text(value: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        found = value.get(key)
        if isinstance(found, int | float) and not isinstance(found, bool):
            found = str(found)
        if isinstance(found, str):
            return found.encode(errors="replace").decode().strip()  # a lone surrogate has no UTF-8
    return ""
