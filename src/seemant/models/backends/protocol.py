"""What every engine can do: encode, generate, score. Torch, llama.cpp and servers all speak it."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. The default is greedy.

    temperature: 0 takes the likeliest token; otherwise logits are divided by it.
    top_p: sample from the smallest set of likeliest tokens that holds this much probability.
    repetition_penalty: for every token of the prompt and of the answer so far, a positive logit
        is divided by it and a negative one multiplied (CTRL, arXiv 1909.05858, sign-corrected).
    max_new_tokens: at most this many tokens are generated.
    seed: of the draw; the same seed gives the same text in every process.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name, holds, rule in (
            ("temperature", self.temperature >= 0, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "more than 0, at most 1"),
            ("repetition_penalty", self.repetition_penalty > 0, "more than 0"),
            ("max_new_tokens", self.max_new_tokens >= 1, "1 or more"),
            ("seed", self.seed >= 0, "0 or more"),
        ):
            if not holds:  # NaN lands here too
                raise BadConfig(f"{name} is {getattr(self, name)!r}", fix=f"it must be {rule}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a transcript keeps them."""
        return asdict(self)


STUDY_SAMPLING = Sampling(temperature=0.3, top_p=0.9, repetition_penalty=1.1)
"""The original study's sampling; no top_k, no min_p, the penalty over the whole context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generated text, without the stop string that ended it.

    finish_reason: "stop" where the model ended its turn or a stop string came; else "length".
    n_prompt, n_new: tokens of the prompt, and tokens generated (the end-of-turn token counts).
    """

    text: str
    finish_reason: FinishReason
    n_prompt: int
    n_new: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """The log-likelihood of one continuation after its context.

    nats: the sum of log p over the continuation's tokens, natural logarithm.
    n_tokens: how many tokens were scored.
    n_bytes: UTF-8 bytes of the continuation, leading white space left out.
    merged: the tokenizer joins context and continuation into one token at their border, so the
        continuation was tokenised by itself (see `split.py`); callers count and report these.
    """

    nats: float
    n_tokens: int
    n_bytes: int
    merged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A prompt to be answered.

    given: how the answer begins, read as if the model had written it; it is no part of the text
        that comes back. stop: strings that end the answer.
    """

    prompt: str
    sampling: Sampling
    given: str = ""
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A context, and the continuations whose likelihood after it is asked for."""

    context: str
    continuations: tuple[str, ...]


Task = Ask | Score
Done = Generation | list[Likelihood]
"""What comes of an `Ask`, and of a `Score`."""


SEATS = 8
"""Tasks that whoever asks much has an engine do together: 16 take a tenth less time, and twice the
memory for caches."""


class Backend(Protocol):
    """An open model. Not safe for several threads at once."""

    @property
    def name(self) -> str:
        """Which engine it is: "llamacpp", "torch" or "openai"."""
        ...

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the text's token ids. Control tokens written in the text are recognised.

        special: put the beginning-of-sequence token first where the model asks for one.
        """
        ...

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        """Return the answer to a prompt.

        Raises:
            InputError: prompt and answer do not fit the context.
        """
        ...

    def generate_stream(
        self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generator[str, None, Generation]:
        """Yield the answer in pieces as it is made; the generator's return value sums it up.

        The pieces joined are the text of `generate`: no broken character, no stop string.
        """
        ...

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        """Yield (which task, what came of it) as tasks are done; several may be at work together.

        No result depends on what else is asked: each is that of `generate` or `loglikelihood`.

        Raises:
            InputError: a task does not fit the context.
        """
        ...

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation after the context, in order."""
        ...

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Yield slices (rows, vocabulary) of log-probabilities, in order, at most 64 rows each.

        The rows predict tokens[first], tokens[first + 1], ... to the last; 1 <= first. Each slice
        is the caller's own: it may keep or change it.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...
