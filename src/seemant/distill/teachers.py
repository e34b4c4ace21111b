"""The two kinds of teacher: a base model that continues examples, a server that is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from seemant.core.errors import NoAnswer
from seemant.core.records import Lang
from seemant.distill.checks import judge
from seemant.distill.prompts import (
    answer_prompt,
    completion_prompt,
    completion_stops,
    open_cues,
    request,
)
from seemant.distill.tasks import Reply, Task, candidate_in
from seemant.models.backends.protocol import Backend, Sampling


def completion_teacher(backend: Backend) -> Callable[[Task], Reply]:
    """Return a base model as a teacher: it ranks question words, then goes on from one of them.

    Left free, a 270M model copies the passage in place of a question. So the question's first
    word is chosen from the language's question words, by how much the passage raises its
    log-likelihood: log p(word | examples, passage) - log p(word | examples), the domain-
    conditional PMI of Holtzman et al., arXiv 2104.08315, equation 4. `rank` counts down that
    order. Greedy, so the same task gives the same reply in every process.

    The margin of a pair that passes every other check is
    log p(answer | passage, question) - log p(answer | passage): near or below zero the answer is
    what the model says of this passage anyway, whatever it is asked.
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
        reply = Reply(word + made.text, made.finish_reason)
        return replace(reply, margin=margin(task, reply))

    def margin(task: Task, reply: Reply) -> float | None:
        pair = candidate_in(task, reply, "completion")
        if pair is None or judge(pair)[1]:
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
        """Return the server's reply to a request for one pair as JSON; a refusal is one, too."""
        sampling = Sampling(
            temperature=task.temperature, max_new_tokens=task.max_new_tokens, seed=task.seed
        )
        try:
            made = self.backend.generate(request(task.lang, task.text), sampling)
        except NoAnswer as error:
            return Reply("", "stop", refused=error.what, final=error.final)
        return Reply(made.text, made.finish_reason)

    def close(self) -> None:
        """Do nothing: every request has its own connection."""
