"""The two kinds of teacher: a base model that continues examples, a server that is asked."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from seemant.core.records import Lang
from seemant.distill.parse import parse_completion
from seemant.distill.prompts import (
    answer_prompt,
    completion_prompt,
    completion_stops,
    open_cues,
    request,
)
from seemant.models.backends.protocol import Backend, FinishReason, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question to a teacher: the `attempt`-th time that a pair of a paragraph is asked for.

    text: what the teacher reads. rank: which kind of question, 0 the likeliest (base models).
    """

    paragraph_id: str
    pair: int
    attempt: int
    lang: Lang
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
        the teacher cannot say or there is no pair.
    """

    text: str
    finish_reason: FinishReason
    margin: float | None = None


class Asker(Protocol):
    """A place where tasks are answered, one at a time: a worker process, a connection."""

    def ask(self, task: Task) -> Reply:
        """Return the teacher's reply.

        Raises:
            ServerDown, WorldError: there is none.
        """

    def close(self) -> None:
        """Let go of the place; an answer under way is given up."""


def completion_teacher(backend: Backend) -> Callable[[Task], Reply]:
    """Return a base model as a teacher: it ranks question words, then goes on from one of them.

    Left free, a 270M model copies the passage in place of a question. So the question's first
    word is chosen from the language's question words, by how much the passage raises its
    log-likelihood: log p(word | examples, passage) - log p(word | examples), the domain-
    conditional PMI of Holtzman et al., arXiv 2104.08315, equation 4. `rank` counts down that
    order. Greedy, so the same task gives the same reply in every process.

    The margin of a reply is log p(answer | passage, question) - log p(answer | passage): near or
    below zero the answer is what the model says of this passage anyway, whatever it is asked.
    """
    free: dict[Lang, dict[str, float]] = {}  # log p(word | examples), once a language

    def nats(prompt: str, words: Sequence[str]) -> dict[str, float]:
        scored = backend.loglikelihood(prompt, [f" {word}" for word in words])
        return {word: each.nats for word, each in zip(words, scored, strict=True)}

    def ask(task: Task) -> Reply:
        words = [cue.word for cue in open_cues(task.lang, task.text)]
        if task.lang not in free:
            free[task.lang] = {}
        known = free[task.lang]
        if fresh := [word for word in words if word not in known]:
            known |= nats(completion_prompt(task.lang, None), fresh)
        prompt = completion_prompt(task.lang, task.text)
        given = nats(prompt, words)
        order = sorted(words, key=lambda word: known[word] - given[word])
        word = order[task.rank % len(order)]
        made = backend.generate(
            f"{prompt} {word}",
            Sampling(
                temperature=task.temperature,
                max_new_tokens=task.max_new_tokens,
                seed=task.seed,
            ),
            completion_stops(task.lang),
        )
        text = word + made.text
        return Reply(text, made.finish_reason, margin(task, text))

    def margin(task: Task, text: str) -> float | None:
        pair = parse_completion(text, task.lang)
        if pair is None:
            return None
        asked = answer_prompt(task.lang, task.text, pair.question)
        unasked = answer_prompt(task.lang, task.text, None)
        (with_it,) = backend.loglikelihood(asked, [f" {pair.answer}"])
        (without,) = backend.loglikelihood(unasked, [f" {pair.answer}"])
        return round(with_it.nats - without.nats, 3)

    return ask


@dataclass(frozen=True, slots=True)
class ServerTeacher:
    """An OpenAI-compatible server as an asker; it may be asked from several threads."""

    backend: Backend

    def ask(self, task: Task) -> Reply:
        """Return the server's reply to a request for one pair as JSON."""
        sampling = Sampling(
            temperature=task.temperature, max_new_tokens=task.max_new_tokens, seed=task.seed
        )
        made = self.backend.generate(request(task.lang, task.text), sampling)
        return Reply(made.text, made.finish_reason)

    def close(self) -> None:
        """Do nothing: every request has its own connection."""
