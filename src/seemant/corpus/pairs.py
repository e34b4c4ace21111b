"""Instruction pairs as people have them: Alpaca's fields, chats, other names, tables.

Read are `instruction`, `input`, `output`; chats of one question and one answer (`messages` with
role and content, `conversations` with from and value); the names that other data sets use for the
same; each as JSON Lines, a JSON array, CSV, TSV or Parquet. A system text stands before the
question, as chat templates without a system turn put it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.core.jsonl import read_records
from seemant.core.records import Pair, number_as_text
from seemant.corpus.scripts import detect_lang

NEEDS = (
    "a record is one question and one answer: {instruction, input, output, lang}, a chat "
    "(messages), or columns question and answer"
)
_CHATS = ("messages", "conversations", "conversation", "dialog", "dialogue")
_QUESTIONS = (
    *("instruction", "question", "prompt", "query", "user", "human"),
    *("प्रश्न", "सवाल", "ಪ್ರಶ್ನೆ"),
)
_INPUTS = ("input", "context", "passage", "paragraph")
_ANSWERS = (
    *("output", "response", "answer", "completion", "target", "reply", "assistant", "answers"),
    *("उत्तर", "जवाब", "ಉತ್ತರ"),
)
_LANGUAGES = ("lang", "language", "भाषा", "ಭಾಷೆ")
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter", "question"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "answer"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}


def read_pairs(path: Path, *, rejected: Path | None = None, tolerant: bool = False) -> list[Pair]:
    """Return the file's pairs, in order; what is none goes to the file `rejected`, with why.

    A pair without `lang` has the language that its script tells.

    Raises:
        BadFile, BadRecord: as `core.jsonl.read_records`.
    """
    return read_records(path, Pair, rejected=rejected, tolerant=tolerant, read=pair_in, needs=NEEDS)


def pair_in(line: str) -> Pair:
    """Return the pair that a record's JSON holds.

    Raises:
        ValueError: it holds none; the text says why.
    """
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("not JSON that can be read: nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
        value = {"messages": value}  # a chat without a name
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object but a {type(value).__name__}")
    given = {str(key).strip().lower().replace(" ", "_"): each for key, each in value.items()}
    given = {key: each for key, each in given.items() if not _absent(each)}
    question, context, answer = _parts(given)
    lang = _first(given, _LANGUAGES) or detect_lang(f"{question}\n{answer}")
    if lang is None:
        raise ValueError("no `lang`, and no letter of a known script that would tell it")
    rest = {name: given[name] for name in Pair.model_fields if name in given}
    return Pair.model_validate(
        rest | {"instruction": question, "input": context, "output": answer, "lang": lang}
    )


def _parts(given: Mapping[str, Any]) -> tuple[str, str, str]:
    for name in _CHATS:
        if name in given:
            return _of_chat(_turns(given[name], name))
    if all(isinstance(given.get(name), list) for name in ("prompt", "completion")):
        return _of_chat([*given["prompt"], *given["completion"]])
    question, context = _first(given, _QUESTIONS), _first(given, _INPUTS)
    answer = _answer(_first(given, _ANSWERS))
    if question is None and "input" in given:  # {input, output}
        question, context = given["input"], None
    if question is None or answer is None:
        raise ValueError(_lacks("question" if question is None else "answer", given))
    texts = [number_as_text(each) for each in (question, context or "", answer)]
    for name, text in zip(("question", "input", "answer"), texts, strict=True):
        if not isinstance(text, str):
            raise ValueError(f"the {name} is no text but a {type(text).__name__}")
    return texts[0], texts[1], texts[2]


def _answer(value: Any) -> Any:
    """Return the one answer: of several accepted ones (SQuAD's form too) the first."""
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _of_chat(turns: Sequence[Any]) -> tuple[str, str, str]:
    told: dict[str, list[str]] = {"system": [], "user": [], "assistant": []}
    order = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise ValueError(f"a turn of the chat is no object but a {type(turn).__name__}")
        named = str(_first(turn, ("role", "from", "speaker")))
        role = _ROLES.get(named.lower())
        if role is None:
            raise ValueError(f"a chat with a turn of {named!r}: only user and assistant are read")
        told[role].append(_content(turn))
        order.append(role)
    spoken = [role for role in order if role != "system"]
    if spoken != ["user", "assistant"] or (told["system"] and order[0] != "system"):
        n = spoken.count("assistant")
        raise ValueError(
            f"a chat of {spoken.count('user')} questions and {n} answers; split it into records "
            "of one question and one answer each"
        )
    return "\n\n".join([*told["system"], *told["user"]]), "", told["assistant"][0]


def _content(turn: Mapping[str, Any]) -> str:
    content = _first(turn, ("content", "value", "text"))
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    spoken = [text for text in texts if isinstance(text, str)]
    if not texts or len(spoken) < len(texts):
        raise ValueError("a turn of the chat holds something other than text")
    return "".join(spoken)


def _turns(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):  # a table's cell
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{name} is no list of turns: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list of turns but a {type(value).__name__}")
    return value


def _first(given: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((given[name] for name in names if not _absent(given.get(name))), None)


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # NaN is not itself


def _lacks(what: str, given: Mapping[str, Any]) -> str:
    names = ", ".join(given) or "none"
    if {"chosen", "rejected"} <= given.keys():
        return (
            "a preference (chosen, rejected), which is no pair: name the question `instruction` "
            "and the chosen answer `output`"
        )
    known = "instruction, question, prompt, messages" if what == "question" else "output, answer"
    return f"no {what} ({known} ...); its fields are {names}"
