"""The loop of generation, the same for every engine that gives logits."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import InputError
from seemant.models.backends.protocol import (
    Ask,
    Backend,
    Done,
    FinishReason,
    Generation,
    Likelihood,
    Sampling,
    Score,
    Task,
)
from seemant.models.backends.sampling import choose
from seemant.models.backends.text import StopFilter

Logits = NDArray[np.float32]


Writer = Generator[tuple[int, str], Logits, Generation]
"""Takes logits (V,) in, gives the token chosen and the text that it completes; see `writing`."""


def answer(
    prompt: Sequence[int],
    sampling: Sampling,
    stop: Sequence[str],
    *,
    logits: Logits,
    advance: Callable[[int], Logits],
    is_end: Callable[[int], bool],
    text_of: Callable[[int], str],
) -> Generator[str, None, Generation]:
    """Yield the answer in pieces; the generator's return value sums it up.

    logits: of the prompt's last token. advance(token) gives those after one more token.
    is_end(token): whether it ends the model's turn. text_of(token): the text that it completes.
    """
    writer = writing(prompt, sampling, stop, is_end=is_end, text_of=text_of)
    next(writer)
    n_shown = 0
    while True:
        try:
            token, text = writer.send(logits)
        except StopIteration as end:
            whole: Generation = end.value
            break
        if text:
            yield text
            n_shown += len(text)
        logits = advance(token)
    if len(whole.text) > n_shown:
        yield whole.text[n_shown:]
    return whole


def writing(
    prompt: Sequence[int],
    sampling: Sampling,
    stop: Sequence[str],
    *,
    is_end: Callable[[int], bool],
    text_of: Callable[[int], str],
) -> Writer:
    """Take logits in by `send`, give (the token chosen, the text it completes); return the whole.

    Whoever holds the engine says when a token is evaluated, so several answers can be written at
    a time. The first `next` only starts it. Text that comes with the end is in the whole alone.
    """
    rng = np.random.default_rng(sampling.seed)
    seen = set(prompt)
    filtered = StopFilter(stop)
    shown: list[str] = []
    reason: FinishReason = "length"
    n_new = 0
    token, text = -1, ""
    while True:
        token = choose((yield token, text), seen, sampling, rng)
        n_new += 1
        if is_end(token):
            reason = "stop"
            break
        seen.add(token)
        text = filtered.feed(text_of(token))
        shown.append(text)
        if filtered.stopped:
            reason = "stop"
            break
        if n_new == sampling.max_new_tokens:
            break
    shown.append(filtered.flush())
    return Generation(text="".join(shown), finish_reason=reason, n_prompt=len(prompt), n_new=n_new)


def drain(pieces: Generator[str, None, Generation]) -> Generation:
    """Run a stream to its end and return its sum."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: Generation = end.value
            return result


def one_by_one(backend: Backend, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
    """Yield (which task, what came of it), for engines that do one thing at a time."""
    for index, task in enumerate(tasks):
        if isinstance(task, Ask):
            yield index, backend.generate(task.prompt + task.given, task.sampling, task.stop)
        else:
            yield index, backend.loglikelihood(task.context, task.continuations)


@overload
def all_done(backend: Backend, tasks: Sequence[Ask]) -> list[Generation]: ...
@overload
def all_done(backend: Backend, tasks: Sequence[Score]) -> list[list[Likelihood]]: ...
def all_done(backend: Backend, tasks: Sequence[Task]) -> Sequence[Done]:
    """Return what came of all tasks, in their order."""
    done = dict(backend.work(tasks))
    return [done[index] for index in range(len(tasks))]


def check_room(n_prompt: int, n_new: int, context: int) -> None:
    """Refuse what does not fit.

    Raises:
        InputError: prompt and answer together are longer than the context.
    """
    if n_prompt == 0:
        raise InputError("an empty prompt", fix="write something to answer to")
    if n_prompt + n_new > context:
        more = f" and up to {n_new} more" if n_new else ""
        raise InputError(
            f"a text of {n_prompt} tokens{more} does not fit the context of {context} tokens",
            fix="shorten the text, or open the model with a larger context",
        )
