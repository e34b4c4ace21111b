"""The loop of generation, the same for every engine that gives logits."""

from collections.abc import Callable, Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import InputError
from seemant.models.backends.protocol import FinishReason, Generation, Sampling
from seemant.models.backends.sampling import choose
from seemant.models.backends.text import StopFilter

Logits = NDArray[np.float32]


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
    rng = np.random.default_rng(sampling.seed)
    seen = set(prompt)
    filtered = StopFilter(stop)
    shown: list[str] = []
    reason: FinishReason = "length"
    n_new = 0
    while True:
        token = choose(logits, seen, sampling, rng)
        n_new += 1
        if is_end(token):
            reason = "stop"
            break
        seen.add(token)
        if text := filtered.feed(text_of(token)):
            shown.append(text)
            yield text
        if filtered.stopped:
            reason = "stop"
            break
        if n_new == sampling.max_new_tokens:
            break
        logits = advance(token)
    if text := filtered.flush():
        shown.append(text)
        yield text
    return Generation(text="".join(shown), finish_reason=reason, n_prompt=len(prompt), n_new=n_new)


def drain(pieces: Generator[str, None, Generation]) -> Generation:
    """Run a stream to its end and return its sum."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: Generation = end.value
            return result


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
