"""From a reply to a journal entry: what was read in it and what the checks say."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from seemant.core.records import Lang, Record, Text
from seemant.distill.checks import judge
from seemant.distill.parse import json_fault
from seemant.distill.tasks import Form, Reply, Task, candidate_in
from seemant.distill.thinking import behind_thinking

GARBAGE = "garbage"  # the reason of a reply in which no pair could be read
NO_ANSWER = "no_answer"  # and of one that is none: refused, filtered, empty, nothing but thinking


class Dropped(Record):
    """A pair that was not kept: its fields as far as they could be read, and every reason."""

    instruction: Text = ""
    input: Text = ""
    output: Text = ""
    id: Text = ""
    lang: Lang
    paragraph_id: Text = ""
    teacher: Text = ""
    checks: dict[str, bool] = Field(default_factory=dict)
    reasons: tuple[Text, ...]
    reply: Text = ""


def journal_entry(task: Task, reply: Reply, form: Form) -> dict[str, Any]:
    """Return what the journal keeps of one attempt; `kept` says that all checks passed."""
    pair = candidate_in(task, reply, form)
    checks, reasons = judge(pair) if pair else ({}, [_unread(reply, form)])
    return {
        "paragraph_id": task.paragraph_id,
        "pair": task.pair,
        "attempt": task.attempt,
        "lang": task.lang,
        "instruction": pair.question if pair else "",
        "output": pair.answer if pair else "",
        "kept": not reasons,
        "reasons": reasons,
        "checks": checks,
        "finish_reason": reply.finish_reason,
        "margin": reply.margin,
        "reply": reply.text.encode(errors="replace").decode(),
    } | ({"final": True} if reply.final else {})


def kind_of(entry: Mapping[str, Any]) -> str:
    """Return the word before the colon of an entry's first reason; "" where it has none."""
    return str(entry["reasons"][0]).partition(":")[0] if entry["reasons"] else ""


def is_done(entry: Mapping[str, Any]) -> bool:
    """Return whether no further attempt follows: the pair is kept, or asking again is idle."""
    return bool(entry["kept"] or entry.get("final"))


def _unread(reply: Reply, form: Form) -> str:
    cut = "; raise --server-tokens" if reply.finish_reason == "length" else ""
    if reply.refused:
        return f"{NO_ANSWER}: {reply.refused}"
    if form == "completion":
        return GARBAGE
    behind = behind_thinking(reply.text)
    if behind is None:
        return f"{NO_ANSWER}: nothing but thinking{cut}"
    fault = json_fault(behind)
    return f"{GARBAGE}: {fault}{cut}" if fault else GARBAGE
