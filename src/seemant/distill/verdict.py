"""From a reply to a journal entry: what was read in it and what the checks say."""

from typing import Any

from pydantic import Field

from seemant.core.records import Lang, Record, Text
from seemant.distill.checks import judge
from seemant.distill.tasks import Form, Reply, Task, candidate_in

GARBAGE = "garbage"  # the reason of a reply in which no pair could be read


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
    checks, reasons = judge(pair) if pair else ({}, [GARBAGE])
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
    }
