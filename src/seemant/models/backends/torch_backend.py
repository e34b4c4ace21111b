"""The torch backend: the reference that llama.cpp is held against, and the fallback without it.

Plain rather than fast: a text's likelihood is one forward pass over the whole of it.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from seemant.core.errors import InputError
from seemant.models.backends.likelihood import log_softmax
from seemant.models.backends.loop import answer, check_room, drain, one_by_one
from seemant.models.backends.protocol import Done, Generation, Likelihood, Sampling, Task
from seemant.models.backends.split import split_pair
from seemant.models.load import TorchModel, load_torch

_ROWS = 64  # logits of a slice: 67 MB with 262,144 tokens

# Pieces that llama.cpp takes for the end of a turn whatever the file says (llama-vocab.cpp).
_END_PIECES = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<|return|>",
    "<EOT>",
    "_<EOT>",
    "<|eom_id|>",
)


class Torch:
    """A model open in torch, on the CPU, float32."""

    name = "torch"

    def __init__(
        self, path: Path, *, adapter: Path | None = None, threads: int = 1, context: int = 1024
    ) -> None:
        """Open a GGUF file or an HF folder; `adapter` is merged into the weights.

        `threads` is set for the whole process.
        """
        torch.set_num_threads(threads)
        self._use(load_torch(path, adapter=adapter), context)

    @classmethod
    def of(cls, loaded: TorchModel, *, context: int = 1024) -> Self:
        """Return a backend over a model that is loaded already (one in training, for example)."""
        backend = cls.__new__(cls)
        backend._use(loaded, context)
        return backend

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the text's token ids; see `Backend`."""
        return self._tokenizer.encode(text, add_bos=None if special else False)

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        """Return the answer to a prompt; see `Backend`."""
        return drain(self.generate_stream(prompt, sampling, stop))

    def generate_stream(
        self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generator[str, None, Generation]:
        """Yield the answer in pieces; see `Backend`."""
        tokens = self.encode(prompt)
        check_room(len(tokens), sampling.max_new_tokens, self.context)
        cache = None

        def step(new: Sequence[int]) -> NDArray[np.float32]:
            nonlocal cache
            ids = torch.tensor([list(new)])
            with torch.inference_mode():
                out = self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = out.past_key_values
            row: NDArray[np.float32] = out.logits[0, -1].float().numpy()
            return row

        return (
            yield from answer(
                tokens,
                sampling,
                stop,
                logits=step(tokens),
                advance=lambda token: step([token]),
                is_end=self._ends.__contains__,
                text_of=growing_text(self._tokenizer.decode),
            )
        )

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        """Yield what came of each task, one after another; see `Backend`."""
        return one_by_one(self, tasks)

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation; one whole pass each."""
        results = []
        for continuation in continuations:
            pair = split_pair(self._encode, context, continuation, start=self._start)
            tokens = pair.context + pair.continuation
            targets = iter(pair.continuation)
            nats = 0.0
            for rows in self.logprobs(tokens, len(pair.context)):
                nats += sum(float(row[next(targets)]) for row in rows)
            results.append(
                Likelihood(
                    nats=nats,
                    n_tokens=len(pair.continuation),
                    n_bytes=pair.n_bytes,
                    merged=pair.merged,
                )
            )
        return results

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Yield slices of log-probabilities (rows <= 64, V); see `Backend`."""
        if not 1 <= first < len(tokens):
            raise InputError(f"cannot predict from token {first} of {len(tokens)}")
        check_room(len(tokens), 0, self.context)
        with torch.inference_mode():
            hidden = self._model.model(torch.tensor([list(tokens[:-1])])).last_hidden_state[0]
        for start in range(first - 1, len(hidden), _ROWS):
            with torch.inference_mode():
                logits = self._model.lm_head(hidden[start : start + _ROWS]).float()
                if self._softcap:
                    logits = torch.tanh(logits / self._softcap) * self._softcap
            yield log_softmax(logits.numpy())

    def close(self) -> None:
        """Drop the model."""
        del self._model

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _use(self, loaded: TorchModel, context: int) -> None:
        self.context = context
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        pieces = (*_END_PIECES, loaded.template.end_of_turn)
        found = [loaded.tokenizer.id_of(piece) for piece in pieces]
        self._ends = {token for token in (*found, loaded.tokenizer.eos_id) if token is not None}
        bos, eos = loaded.tokenizer.bos_id, loaded.tokenizer.eos_id
        self._start = bos if bos is not None else eos if eos is not None else 0
        self._softcap: float | None = getattr(loaded.model.config, "final_logit_softcapping", None)

    def _encode(self, text: str, special: bool) -> list[int]:
        return self.encode(text, special=special)


def growing_text(decode: Callable[[Sequence[int]], str]) -> Callable[[int], str]:
    """Return a function that takes token ids one by one and gives the text each one completes.

    An unfinished character decodes as U+FFFD at the end: it waits for its next token.
    """
    tokens: list[int] = []
    shown = ""

    def text_of(token: int) -> str:
        nonlocal shown
        tokens.append(token)
        text = decode(tokens).rstrip("\ufffd")
        new, shown = text[len(shown) :], max(text, shown, key=len)
        return new

    return text_of
