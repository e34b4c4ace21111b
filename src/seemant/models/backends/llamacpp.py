"""The llama.cpp backend: what is deployed is what is measured.

llama.cpp's kernels round differently for blocks of different sizes, and on quantised files such
differences grow to whole nats. So every text is evaluated in the same way whatever came before
it: from position 0 in blocks (`llama_blocks.py`), then the answer token by token. The cache of the
last text is reused up to the last whole block that both share, or whole where the same prompt
comes again, which changes no bit of any result.
Several texts may stand side by side, each in a seat with a cache of its own. Then one token of
each goes through the model at a time: Gemma 3 270M takes 12 ms a token for eight, 21 for one. That
changes no bit of a quantised model's results; of a float model's, the last ones, and the same way
whatever stands beside. Tests hold all of this.
Continuations are scored each by itself, so a score does not depend on its neighbours; short ones
token by token.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from ctypes import c_int32, create_string_buffer
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import InputError
from seemant.models.backends.likelihood import log_softmax
from seemant.models.backends.llama_c import library
from seemant.models.backends.llama_open import load_adapter, load_model
from seemant.models.backends.llama_seats import LlamaSeats
from seemant.models.backends.lockstep import Job, in_lockstep, scoring_job, writing_job
from seemant.models.backends.loop import Logits, answer, check_room, drain, writing
from seemant.models.backends.protocol import (
    Ask,
    Done,
    Generation,
    Likelihood,
    Sampling,
    Score,
    Task,
)
from seemant.models.backends.split import split_pair
from seemant.models.backends.text import utf8_pieces


class LlamaCpp:
    """A GGUF file open in llama.cpp, on the CPU, mapped from the disk."""

    name = "llamacpp"

    def __init__(
        self,
        path: Path,
        *,
        adapter: Path | None = None,
        threads: int = 1,
        context: int = 1024,
        seats: int = 1,
    ) -> None:
        """Open a model.

        adapter: a GGUF LoRA file, at scale 1. context: tokens of a text, at most.
        seats: how many tasks `work` does together; caches of several grow as texts need them.

        Raises:
            NoLlamaCpp: the runtime cannot be used.
            BadFile: the file is missing or damaged, or the adapter is for another model.
        """
        self._lib = library()
        self._model: int | None = None
        self._seats: LlamaSeats | None = None
        if context < 2:
            raise InputError(f"a context of {context} tokens", fix="use 2 or more")
        self.context = context
        self._seams: dict[int, bool] = {}
        self._turn = 0  # counts uses: a suspended generator must not go on after another
        try:
            self._model = load_model(self._lib, path)
            self._vocab = self._lib.llama_model_get_vocab(self._model)
            self._seats = LlamaSeats(
                self._lib,
                self._model,
                path,
                adapter=load_adapter(self._lib, self._model, adapter) if adapter else None,
                threads=threads,
                most=context,
                n_seats=seats,
                is_seam=self._is_seam,
            )
        except BaseException:
            self.close()
            raise
        self.n_vocab = self._seats.n_vocab

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the text's token ids; see `Backend`. A text that spells BOS out gets no second."""
        self._check_open()
        data = text.encode()
        buffer = (c_int32 * (len(data) + 8))()
        n = self._lib.llama_tokenize(
            self._vocab, data, len(data), buffer, len(buffer), special, True
        )
        if n < 0:
            raise InputError("the text cannot be tokenised", where=repr(text[:60]))
        ids = list(buffer[:n])
        bos = self._lib.llama_vocab_bos(self._vocab)
        return ids[1:] if special and ids[:2] == [bos, bos] else ids

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        """Return the answer to a prompt; see `Backend`."""
        return drain(self.generate_stream(prompt, sampling, stop))

    def generate_stream(
        self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()
    ) -> Generator[str, None, Generation]:
        """Yield the answer in pieces; see `Backend`."""
        tokens = self.encode(prompt)
        check_room(len(tokens), sampling.max_new_tokens, self.context)
        logits, advance = self.begin(tokens)
        return (
            yield from answer(
                tokens,
                sampling,
                stop,
                logits=logits,
                advance=advance,
                is_end=self._is_end,
                text_of=utf8_pieces(self.piece),
            )
        )

    def begin(self, tokens: list[int]) -> tuple[Logits, Callable[[int], Logits]]:
        """Return the logits (V,) after a prompt, and a function that gives those after one more.

        They are views that hold until the next call.
        """
        seats, turn = self._take_turn(self.context)
        seat, position = seats.seat_for(tokens), len(tokens)
        row = seats.read(seat, tokens)

        def advance(token: int) -> Logits:
            nonlocal position
            self._check_turn(turn)
            following: Logits = seats.alone(seat, [token], position)[0]
            position += 1
            return following

        return row, advance

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Done]]:
        """Yield what came of the tasks, as many together as there are seats; see `Backend`."""
        jobs = [self._job(task) for task in tasks]
        seats, turn = self._take_turn(max((job.room for job in jobs), default=0))
        for found in in_lockstep(seats, jobs):
            yield found
            self._check_turn(turn)

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation; the context is evaluated once."""
        score = Score(context=context, continuations=tuple(continuations))
        ((_, found),) = self.work([score])
        assert isinstance(found, list)
        return found

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Yield slices of log-probabilities (rows <= 64, V); see `Backend`."""
        if not 1 <= first < len(tokens):
            raise InputError(f"cannot predict from token {first} of {len(tokens)}")
        check_room(len(tokens), 0, self.context)
        seats, turn = self._take_turn(len(tokens))
        text = list(tokens[:-1])
        for rows in seats.evaluate(seats.seat_for(text), text, first - 1):
            yield log_softmax(rows)
            self._check_turn(turn)

    def piece(self, token: int) -> bytes:
        """Return the bytes that a token stands for; control tokens stand for none."""
        self._check_open()
        size = 64
        while True:
            buffer = create_string_buffer(size)
            n = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if n >= 0:
                return buffer.raw[:n]
            size = -n

    def close(self) -> None:
        """Free the model; once is enough, twice does no harm."""
        if self._seats is not None:
            self._seats.close()
        if self._model:
            self._lib.llama_model_free(self._model)
        self._seats = self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _job(self, task: Task) -> Job:
        start = self._start_token()
        encode = cache(self._encode)  # the context of many continuations is one text
        if isinstance(task, Ask):
            prompt, given = self.encode(task.prompt), list[int]()
            if task.given:
                pair = split_pair(encode, task.prompt, task.given, start=start)
                prompt, given = pair.context, pair.continuation
            most = task.sampling.max_new_tokens
            check_room(len(prompt) + len(given), most, self.context)
            writer = writing(
                prompt + given,
                task.sampling,
                task.stop,
                is_end=self._is_end,
                text_of=utf8_pieces(self.piece),
            )
            return writing_job(prompt, given, writer, most)
        pairs = [split_pair(encode, task.context, each, start=start) for each in task.continuations]
        for pair in pairs:
            check_room(len(pair.context), len(pair.continuation), self.context)
        return scoring_job(pairs[0].context if pairs else [start], pairs)

    def _take_turn(self, room: int) -> tuple[LlamaSeats, int]:
        """Make room for texts of so many tokens; return the seats, and this use's number."""
        seats = self._check_open()
        self._turn += 1
        seats.make_room(room)
        return seats, self._turn

    def _check_open(self) -> LlamaSeats:
        if self._seats is None:  # llama.cpp would end the whole process
            raise RuntimeError("the model is closed")
        return self._seats

    def _check_turn(self, turn: int) -> None:
        if turn != self._turn:
            raise RuntimeError("another evaluation began before this stream was read to its end")

    def _is_seam(self, token: int) -> bool:
        """Whether a token opens a message or a paragraph: texts often are alike up to one."""
        if token not in self._seams:
            control = self._lib.llama_vocab_is_control(self._vocab, token)
            self._seams[token] = control or self.piece(token) == b"\n\n"
        return self._seams[token]

    def _is_end(self, token: int) -> bool:
        ends: bool = self._lib.llama_vocab_is_eog(self._vocab, token)
        return ends

    def _encode(self, text: str, special: bool) -> list[int]:
        return self.encode(text, special=special)

    def _start_token(self) -> int:
        bos: int = self._lib.llama_vocab_bos(self._vocab)
        eos: int = self._lib.llama_vocab_eos(self._vocab)
        return bos if bos >= 0 else eos
