"""A backend without a model: canned answers, and a toy language model over bytes."""

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.models.backends.loop import one_by_one
from seemant.models.backends.protocol import Done, Generation, Likelihood, Sampling, Task

BOS, N_TOKENS = 256, 257


class FakeBackend:
    """Deterministic; `log` gets a line for every call, so that tests can count them."""

    name = "fake"

    def __init__(
        self, answers: dict[str, str], *, log: Path | None = None, seconds: float = 0.0
    ) -> None:
        self.answers, self.log, self.seconds = answers, log, seconds

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        return [BOS] * special + list(text.encode())

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        self._note(f"generate {sampling.temperature} {prompt!r}")
        found = next((text for key, text in self.answers.items() if key in prompt), None)
        if found is None:
            digest = hashlib.sha256(f"{prompt}{sampling.seed}".encode()).hexdigest()
            found = f"answer {digest[:6]}"
        return Generation(text=f" {found}", finish_reason="stop", n_prompt=1, n_new=1)

    def generate_stream(
        self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generator[str, None, Generation]:
        whole = self.generate(prompt, sampling, stop)
        yield whole.text
        return whole

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        return one_by_one(self, tasks)

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        self._note(f"loglikelihood {context!r} {len(continuations)}")
        found = []
        for text in continuations:
            tokens = self.encode(context + text)
            first = len(self.encode(context))
            rows = np.concatenate(list(self.logprobs(tokens, first)))
            nats = float(rows[np.arange(len(rows)), tokens[first:]].sum(dtype=np.float64))
            n_bytes = len(text.strip().encode())
            found.append(Likelihood(nats=nats, n_tokens=len(rows), n_bytes=n_bytes))
        return found

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        for at in range(first, len(tokens), 7):
            yield np.stack([_row(tokens[:t]) for t in range(at, min(at + 7, len(tokens)))])

    def close(self) -> None:
        pass

    def __enter__(self) -> "FakeBackend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, line: str) -> None:
        time.sleep(self.seconds)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _row(history: Sequence[int]) -> NDArray[np.float32]:
    """Return log-probabilities that depend on the last three tokens."""
    key = ",".join(map(str, history[-3:])).encode()
    seed = int(hashlib.sha256(key).hexdigest()[:8], 16)
    logits = np.random.default_rng(seed).normal(size=N_TOKENS) * 2
    return (logits - np.log(np.exp(logits).sum())).astype(np.float32)
