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
from seemant.models.backends.loop import all_done
from seemant.models.backends.protocol import Ask, Backend, Sampling, Score


def completion_teacher(backend: Backend) -> Callable[[Sequence[Task]], list[Reply]]:
    """Return a base model as a teacher: it ranks question words, then goes on from one of them.

    Left free, a 270M model copies the passage in place of a question. So the question's first
    word is chosen from the language's question words, by how much the passage raises its
    log-likelihood: log p(word | examples, passage) - log p(word | examples), the domain-
    conditional PMI of Holtzman et al., arXiv 2104.08315, equation 4. `rank` counts down that
    order. Greedy, so the same task gives the same reply in every process.

    The margin of a pair that passes every other check is
    log p(answer | passage, question) - log p(answer | passage): near or below zero the answer is
    what the model says of this passage anyway, whatever it is asked.

    Each of the three steps is asked for all tasks at once; none changes another's reply.
    """
    free: dict[Lang, dict[str, float]] = {}  # log p(word | examples), once a language

    def ask(tasks: Sequence[Task]) -> list[Reply]:
        words = _first_words(backend, tasks, free)
        asks = [
            Ask(
                prompt=completion_prompt(task.lang, task.text),
                given=f" {word}",
                sampling=Sampling(
                    temperature=task.temperature,
                    max_new_tokens=task.max_new_tokens,
                    seed=task.seed,
                ),
                stop=tuple(completion_stops(task.lang)),
            )
            for task, word in zip(tasks, words, strict=True)
        ]
        replies = [
            Reply(word + made.text, made.finish_reason)
            for word, made in zip(words, all_done(backend, asks), strict=True)
        ]
        margins = _margins(backend, tasks, replies)
        return [replace(reply, margin=margins.get(at)) for at, reply in enumerate(replies)]

    return ask


def _first_words(
    backend: Backend, tasks: Sequence[Task], free: dict[Lang, dict[str, float]]
) -> list[str]:
    """Return each task's question word. free: what is known of the words alone; it is added to."""
    cues = [[cue.word for cue in open_cues(task.lang, task.text)] for task in tasks]
    new: dict[Lang, list[str]] = {}
    for task, words in zip(tasks, cues, strict=True):
        known = [*free.setdefault(task.lang, {}), *new.get(task.lang, ())]
        if fresh := [word for word in words if word not in known]:
            new.setdefault(task.lang, []).extend(fresh)
    asked = [(completion_prompt(lang, None), words) for lang, words in new.items()]
    asked += [
        (completion_prompt(task.lang, task.text), words)
        for task, words in zip(tasks, cues, strict=True)
    ]
    found = [
        {word: score.nats for word, score in zip(words, scores, strict=True)}
        for (_, words), scores in zip(
            asked, all_done(backend, [_score(*each) for each in asked]), strict=True
        )
    ]
    for lang, nats in zip(new, found[: len(new)], strict=True):
        free[lang] |= nats
    chosen = []
    for task, nats in zip(tasks, found[len(new) :], strict=True):
        order = sorted(nats, key=lambda word: free[task.lang][word] - nats[word])
        chosen.append(order[task.rank % len(order)])
    return chosen


def _margins(backend: Backend, tasks: Sequence[Task], replies: Sequence[Reply]) -> dict[int, float]:
    """Return the margin of each task's pair that passes every other check, by its place."""
    scores: dict[int, list[Score]] = {}
    for at, (task, reply) in enumerate(zip(tasks, replies, strict=True)):
        pair = candidate_in(task, reply, "completion")
        if pair is not None and not judge(pair)[1]:
            scores[at] = [
                _score(answer_prompt(task.lang, task.text, question), [pair.answer])
                for question in (pair.question, None)
            ]
    found = iter(all_done(backend, [each for two in scores.values() for each in two]))
    return {at: round(next(found)[0].nats - next(found)[0].nats, 3) for at in scores}


def _score(prompt: str, words: Sequence[str]) -> Score:
    return Score(context=prompt, continuations=tuple(f" {word}" for word in words))


@dataclass(frozen=True, slots=True)
class ServerTeacher:
    """An OpenAI-compatible server as an asker; it may be asked from several threads."""

    backend: Backend

    @property
    def at_once(self) -> int:
        """One: a server is asked several things by several threads."""
        return 1

    def ask(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return the server's reply to a request for each pair as JSON; a refusal is one, too."""
        return [self._reply(task) for task in tasks]

    def _reply(self, task: Task) -> Reply:
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
