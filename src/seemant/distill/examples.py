"""Hand-written examples and question words that show a base model what is wanted."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from seemant.core.records import Lang

Needs = Literal["number", "time", "reason"]


@dataclass(frozen=True, slots=True)
class Example:
    """One invented sentence with its question and the short answer."""

    passage: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Cue:
    """A question word that a question may begin with, and what its passage must hold."""

    word: str
    needs: Needs | None


@cache
def examples(lang: Lang) -> tuple[Example, ...]:
    """Return the language's examples, in the order in which they are shown."""
    return tuple(Example(**each) for each in _data()[lang]["examples"])


@cache
def cues(lang: Lang) -> tuple[Cue, ...]:
    """Return the language's question words."""
    return tuple(Cue(**each) for each in _data()[lang]["cues"])


@cache
def names(lang: Lang) -> tuple[str, ...]:
    """Return names and things that only the examples speak of: a sign that one leaked."""
    return tuple(_data()[lang]["names"])


@cache
def _data() -> dict[str, dict[str, Any]]:
    path = Path(__file__).parent / "data" / "examples.json"
    data: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return data
