"""What is asked of a teacher, what comes back, and how a pair is read in it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from seemant.core.records import Lang
from seemant.distill.checks import Candidate
from seemant.distill.parse import parse_completion, parse_json
from seemant.distill.thinking import behind_thinking
from seemant.models.backends.protocol import FinishReason

Form = Literal["completion", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question to a teacher: the `attempt`-th time that a pair of a paragraph is asked for.

    paragraph: the whole text, against which pairs are judged. text: what of it the teacher reads.
    rank: which kind of question, 0 the likeliest (base models).
    """

    paragraph_id: str
    pair: int
    attempt: int
    lang: Lang
    paragraph: str
    text: str
    rank: int
    temperature: float
    max_new_tokens: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the task as JSON carries it to a worker."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a teacher wrote; a base model's text begins with the question word.

    margin: by how many nats the question makes the answer likelier, given the passage; None where
        the teacher cannot say, or the pair fails anyway.
    refused: why there is no text, where a server refused or answered with nothing. final: asking
        again would be idle.
    """

    text: str
    finish_reason: FinishReason
    margin: float | None = None
    refused: str = ""
    final: bool = False


class Asker(Protocol):
    """A place where tasks are answered: a worker process, a connection."""

    @property
    def at_once(self) -> int:
        """How many tasks it answers together."""
        ...

    def ask(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return the teacher's reply to each.

        Raises:
            ServerDown, WorldError: there is none.
        """
        ...

    def close(self) -> None:
        """Let go of the place; an answer under way is given up."""


def candidate_in(task: Task, reply: Reply, form: Form) -> Candidate | None:
    """Return the pair that can be read in a reply, ready to be judged, or None."""
    if form == "json":
        parsed = parse_json(behind_thinking(reply.text) or "")
    else:
        parsed = parse_completion(reply.text, task.lang)
    if parsed is None:
        return None
    return Candidate(
        task.lang,
        task.paragraph,
        parsed.question,
        parsed.answer,
        whole=parsed.ended or reply.finish_reason == "stop",
        margin=reply.margin,
    )
