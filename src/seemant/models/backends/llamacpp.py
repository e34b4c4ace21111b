"""The llama.cpp backend: what is deployed is what is measured.

llama.cpp's kernels round differently for batches of different sizes, and on quantised files such
differences grow to whole nats. So every text is evaluated in the same way whatever came before
it: from position 0 in blocks of 64 tokens, then the answer token by token. The cache of the last
text is reused up to the last whole block that both share, or whole where the same prompt comes
again, which changes no bit of any result.
Continuations are scored one at a time, so a score does not depend on its neighbours (measured on
Gemma 3 270M: four of 8 tokens cost 12 % more than all in one batch); short ones token by token.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from ctypes import c_float, c_int32, c_void_p, create_string_buffer
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile, InputError
from seemant.models.backends.likelihood import NextToken, log_softmax, token_nats
from seemant.models.backends.llama_batch import BatchBuffer
from seemant.models.backends.llama_c import context_params, errors_of, library, model_params
from seemant.models.backends.loop import Logits, answer, check_room, drain
from seemant.models.backends.protocol import Generation, Likelihood, Sampling
from seemant.models.backends.split import split_pair
from seemant.models.backends.text import utf8_pieces

_NOTHING: tuple[list[int], Logits] = ([], np.empty(0, np.float32))
ALONE = 5  # tokens: 2 to 5 rows of a Q8_0 head take longer together (Gemma: 46 ms, not 2 x 12)
BLOCK = 64  # 32 costs 15 % of the prefill speed, 128 gains 1 %


class LlamaCpp:
    """A GGUF file open in llama.cpp, on the CPU, mapped from the disk; one sequence."""

    name = "llamacpp"

    def __init__(
        self, path: Path, *, adapter: Path | None = None, threads: int = 1, context: int = 1024
    ) -> None:
        """Open a model. adapter: a GGUF LoRA file, at scale 1. context: tokens, at most.

        Raises:
            NoLlamaCpp: the runtime cannot be used.
            BadFile: the file is missing or damaged, or the adapter is for another model.
        """
        self._lib = library()
        self._model = self._context = None
        if context < 2:
            raise InputError(f"a context of {context} tokens", fix="use 2 or more")
        self.context = context
        try:
            self._model = self._load(path)
            self._vocab = self._lib.llama_model_get_vocab(self._model)
            self.n_vocab: int = self._lib.llama_vocab_n_tokens(self._vocab)
            params = context_params(self._lib, n_ctx=context, n_batch=min(BLOCK, context))
            self._context = self._lib.llama_init_from_model(self._model, params)
            if not self._context:
                raise BadFile(
                    "llama.cpp cannot run this model", where=str(path), fix=errors_of(self._lib)
                )
            self._lib.llama_set_n_threads(self._context, threads, threads)
            if adapter is not None:
                self._set_adapter(adapter)
        except BaseException:
            self.close()
            raise
        self._memory = self._lib.llama_get_memory(self._context)
        self._batch = BatchBuffer(BLOCK)
        self._held: list[int] = []  # the tokens whose whole blocks are in the cache
        self._read = _NOTHING
        self._turn = 0  # counts evaluations: a suspended generator must not go on after another

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
                is_end=lambda token: self._lib.llama_vocab_is_eog(self._vocab, token),
                text_of=utf8_pieces(self.piece),
            )
        )

    def begin(self, tokens: list[int]) -> tuple[Logits, Callable[[int], Logits]]:
        """Return the logits (V,) after a prompt, and a function that gives those after one more.

        They are views that hold until the next call.
        """
        row = self._after(tokens)
        turn, position = self._turn, len(tokens)

        def advance(token: int) -> Logits:
            nonlocal position
            self._check_turn(turn)
            following: Logits = self._decode([token], position, 0)[0]
            position += 1
            return following

        return row, advance

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation; the context is evaluated once."""
        results = []
        head: list[int] | None = None
        first: NextToken | None = None
        for continuation in continuations:
            pair = split_pair(self._encode, context, continuation, start=self._start_token())
            check_room(len(pair.context), len(pair.continuation), self.context)
            if head is None or first is None or pair.context != head:
                head = pair.context
                first = NextToken(self._after(head))
            tail = pair.continuation
            nats = first.nats(tail[0])
            self._forget(len(head))
            for start, stop in _steps(len(tail) - 1):
                rows = self._decode(tail[start:stop], len(head) + start, 0)
                nats += token_nats(rows, tail[start + 1 : stop + 1])
            results.append(
                Likelihood(nats=nats, n_tokens=len(tail), n_bytes=pair.n_bytes, merged=pair.merged)
            )
        return results

    def logprobs(self, tokens: Sequence[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Yield slices of log-probabilities (rows <= 64, V); see `Backend`."""
        if not 1 <= first < len(tokens):
            raise InputError(f"cannot predict from token {first} of {len(tokens)}")
        check_room(len(tokens), 0, self.context)
        for rows in self._evaluate(list(tokens[:-1]), first - 1):
            yield log_softmax(rows)

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
        if self._context:
            self._lib.llama_free(self._context)
        if self._model:
            self._lib.llama_model_free(self._model)
        self._context = self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _after(self, tokens: list[int]) -> Logits:
        """Return the logits (V,) after a text; of the text that was read last they are kept.

        Its cache is kept with them: whatever followed it is dropped.
        """
        text, row = self._read
        if text == tokens:
            self._turn += 1
            self._forget(len(tokens))
            return row
        (rows,) = list(self._evaluate(tokens, len(tokens) - 1))
        self._read = list(tokens), rows[0].copy()  # llama.cpp overwrites its buffer
        return self._read[1]

    def _evaluate(self, tokens: list[int], first: int) -> Iterator[NDArray[np.float32]]:
        """Evaluate a text in blocks from 0; yield the logits of rows first.. as views (rows, V).

        A view holds until the next block. Blocks that the cache already holds are skipped.
        """
        self._turn += 1
        turn = self._turn
        shared = _common(self._held, tokens)
        start = min(shared, first) // BLOCK * BLOCK
        self._forget(start)
        for at in range(start, len(tokens), BLOCK):
            block = tokens[at : at + BLOCK]
            wanted_from = max(0, first - at)
            rows = self._decode(block, at, wanted_from)
            if len(block) == BLOCK:
                self._held = tokens[: at + BLOCK]
            if wanted_from < len(block):
                yield rows
                self._check_turn(turn)

    def _forget(self, position: int) -> None:
        """Drop the cache from a position on."""
        del self._held[position:]
        if position < len(self._read[0]):
            self._read = _NOTHING
        if not self._lib.llama_memory_seq_rm(self._memory, 0, position, -1):
            raise RuntimeError(f"llama.cpp could not cut its cache at {position}")

    def _decode(self, tokens: list[int], position: int, first: int) -> NDArray[np.float32]:
        """Evaluate tokens at a position; returns a view (rows, V) of the logits from `first` on."""
        self._check_open()
        check_room(position + len(tokens), 0, self.context)  # beyond it llama.cpp would abort
        batch = self._batch.fill(tokens, position, first)
        code = self._lib.llama_decode(self._context, batch)
        if code != 0:
            self._held, self._read = [], _NOTHING
            raise InputError(
                f"llama.cpp could not evaluate {len(tokens)} tokens at {position} (code {code})",
                fix=errors_of(self._lib) or "open the model with a larger context",
            )
        rows = max(0, len(tokens) - first)
        if not rows:
            return np.empty((0, self.n_vocab), np.float32)
        pointer = self._lib.llama_get_logits_ith(self._context, first)
        return np.ctypeslib.as_array(pointer, shape=(rows, self.n_vocab))

    def _check_open(self) -> None:
        if self._context is None:  # llama.cpp would end the whole process
            raise RuntimeError("the model is closed")

    def _check_turn(self, turn: int) -> None:
        if turn != self._turn:
            raise RuntimeError("another evaluation began before this stream was read to its end")

    def _encode(self, text: str, special: bool) -> list[int]:
        return self.encode(text, special=special)

    def _start_token(self) -> int:
        bos: int = self._lib.llama_vocab_bos(self._vocab)
        eos: int = self._lib.llama_vocab_eos(self._vocab)
        return bos if bos >= 0 else eos

    def _load(self, path: Path) -> int:
        if not path.is_file():
            raise BadFile("no such model file", where=str(path), fix="check the path")
        model = self._lib.llama_model_load_from_file(str(path).encode(), model_params(self._lib))
        if not model:
            raise BadFile(
                "llama.cpp cannot load this file: " + errors_of(self._lib),
                where=str(path),
                fix="it must be a whole GGUF file of a known architecture; fetch or make it again",
            )
        if self._lib.llama_model_is_recurrent(model) or self._lib.llama_model_is_hybrid(model):
            self._lib.llama_model_free(model)
            raise BadFile(
                "a recurrent model: its state cannot be cut back to a shared prefix",
                where=str(path),
                fix="use a model of attention layers alone (Llama, Qwen, Gemma)",
            )
        return int(model)

    def _set_adapter(self, path: Path) -> None:
        if not path.is_file():
            raise BadFile("no such adapter file", where=str(path), fix="check the path")
        adapter = self._lib.llama_adapter_lora_init(self._model, str(path).encode())
        if not adapter:  # freed with its model
            raise BadFile(
                "llama.cpp cannot use this adapter: " + errors_of(self._lib),
                where=str(path),
                fix="use the base model that the adapter was trained on",
            )
        adapters, scales = (c_void_p * 1)(adapter), (c_float * 1)(1.0)
        self._lib.llama_set_adapters_lora(self._context, adapters, 1, scales)


def _steps(n: int) -> Iterator[tuple[int, int]]:
    """Yield from where to where n tokens of a continuation are evaluated at once."""
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        if size > ALONE:
            yield start, start + size
        else:
            yield from ((at, at + 1) for at in range(start, start + size))


def _common(a: list[int], b: list[int]) -> int:
    """Return how many leading tokens two texts share."""
    n = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        n += 1
    return n
