"""From a reply to a journal entry: what was read in it and what the checks say."""

from typing import Any, Literal

from pydantic import Field

from seemant.core.records import Lang, Record, Text
from seemant.distill.checks import Candidate, judge
from seemant.distill.parse import parse_completion, parse_json
from seemant.distill.teachers import Reply, Task

GARBAGE = "garbage"  # the reason of a reply in which no pair could be read

Form = Literal["completion", "json"]


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


def journal_entry(task: Task, paragraph: str, reply: Reply, form: Form) -> dict[str, Any]:
    """Return what the journal keeps of one attempt; `kept` says that all checks passed.

    paragraph: its whole text, against which the pair is judged.
    """
    parsed = parse_json(reply.text) if form == "json" else parse_completion(reply.text, task.lang)
    checks: dict[str, bool] = {}
    reasons = [GARBAGE]
    if parsed is not None:
        whole = parsed.ended or reply.finish_reason == "stop"
        checks, reasons = judge(
            Candidate(task.lang, paragraph, parsed.question, parsed.answer, whole, reply.margin)
        )
    return {
        "paragraph_id": task.paragraph_id,
        "pair": task.pair,
        "attempt": task.attempt,
        "lang": task.lang,
        "instruction": parsed.question if parsed else "",
        "output": parsed.answer if parsed else "",
        "kept": not reasons,
        "reasons": reasons,
        "checks": checks,
        "finish_reason": reply.finish_reason,
        "margin": reply.margin,
        "reply": reply.text.encode(errors="replace").decode(),
    }
