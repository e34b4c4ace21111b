"""Texts side by side in one llama.cpp context, each in a seat with a cache of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile, InputError
from seemant.core.sequences import n_shared
from seemant.models.backends.llama_batch import BatchBuffer
from seemant.models.backends.llama_blocks import BLOCK, block_ends
from seemant.models.backends.llama_c import Batch, Library, context_params, errors_of
from seemant.models.backends.llama_open import use_adapter
from seemant.models.backends.loop import Logits, check_room

Rows = NDArray[np.float32]
_FIRST_ROOM = 256  # tokens a seat, where there are several: most questions are shorter


@dataclass(slots=True)
class _Seat:
    """What a sequence's cache holds."""

    held: list[int] = field(default_factory=list)  # the tokens of its whole blocks
    ends: list[int] = field(default_factory=list)  # where those end
    read: list[int] = field(default_factory=list)  # the last text that was read to its end
    logits: Logits = field(default_factory=lambda: np.empty(0, np.float32))  # after that text


class LlamaSeats:
    """An open model's context with `n_seats` caches of at most `most` tokens each."""

    def __init__(
        self,
        lib: Library,
        model: int,
        path: Path,
        *,
        adapter: int | None,
        threads: int,
        most: int,
        n_seats: int,
        is_seam: Callable[[int], bool],
    ) -> None:
        """Make the context; the model stays its owner's.

        path: of its file, for error texts. is_seam: see `block_ends`.

        Raises:
            BadFile: llama.cpp cannot run this model.
        """
        self._lib, self._model, self._path = lib, model, path
        self._adapter, self._threads, self._most = adapter, threads, most
        self.n_seats = n_seats
        self.n_vocab: int = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        self._batch = BatchBuffer(max(BLOCK, n_seats), n_seats)
        self._is_seam = is_seam
        self._context: int | None = None
        self._make_context(most if n_seats == 1 else min(most, _FIRST_ROOM))

    def make_room(self, room: int) -> None:
        """Make room for texts of so many tokens, as far as `most` goes; caches may be lost."""
        size = self._room
        while size < min(room, self._most):
            size *= 2
        if size > self._room:
            self._make_context(min(size, self._most))

    def seat_for(self, text: list[int]) -> int:
        """Return the seat that has read this text, or else holds most of it."""
        seats = range(self.n_seats)
        return max(
            seats, key=lambda s: (self.has_read(s) == text, n_shared(self._seats[s].held, text))
        )

    def evaluate(self, seat: int, tokens: list[int], first: int) -> Iterator[Rows]:
        """Evaluate a text in blocks from 0; yield the logits of rows first.. as views (rows, V).

        A view holds until the next block. Blocks that a cache already holds are skipped.
        """
        own = self._seats[seat]
        ends = block_ends(tokens, self._is_seam)
        self._adopt(seat, tokens, ends)
        start = self._reusable(seat, tokens[:first], ends)
        self._forget(seat, start)
        inner = [end for end in ends if start < end < len(tokens)]
        for at, to in pairwise([start, *inner, len(tokens)]):
            wanted_from = max(0, first - at)
            rows = self._decode(seat, tokens[at:to], at, wanted_from)
            if to in ends:
                own.held, own.ends = tokens[:to], [end for end in ends if end <= to]
            if wanted_from < to - at:
                yield rows

    def has_read(self, seat: int) -> list[int]:
        """Return the text that a seat read last: to read it again costs nothing."""
        return self._seats[seat].read

    def read(self, seat: int, prompt: list[int]) -> Logits:
        """Return the logits (V,) after a text; of the text that was read last they are kept.

        Its cache is kept with them: whatever followed it is dropped.
        """
        own = self._seats[seat]
        if own.read == prompt:
            self._forget(seat, len(prompt))
        else:
            (rows,) = list(self.evaluate(seat, prompt, len(prompt) - 1))
            own.read, own.logits = list(prompt), rows[0].copy()  # llama.cpp's buffer is reused
        return own.logits

    def alone(self, seat: int, tokens: Sequence[int], position: int) -> Rows:
        """Return the logits (n, V) of tokens of one seat's text; what stood from there is dropped.

        They are a view that holds until the next evaluation, as are those of `together`.
        """
        self._forget(seat, position)
        return self._decode(seat, tokens, position, 0)

    def together(self, steps: Mapping[int, tuple[int, int]]) -> list[Logits]:
        """Return the logits (V,) of one token a seat, given as (token, position), in their order.

        What stood in a seat from its position on is dropped.
        """
        seats = _whole_fours(min(steps), max(steps) + 1, self.n_seats)
        rows = [steps.get(seat) or (0, self._end_of(seat)) for seat in seats]
        for seat, (_, position) in zip(seats, rows, strict=True):
            self._forget(seat, position)
        tokens, positions = zip(*rows, strict=True)
        found = self._logits(self._batch.fill_row(seats, tokens, positions), 0, max(positions) + 1)
        return [found[seat - seats.start] for seat in steps]

    def _end_of(self, seat: int) -> int:
        """Return where an idle seat can take a row that means nothing."""
        own = self._seats[seat]
        return len(own.read) or len(own.held)

    def close(self) -> None:
        """Free the context; once is enough, twice does no harm."""
        if self._context:
            self._lib.llama_free(self._context)
        self._context = None

    def _adopt(self, seat: int, tokens: list[int], ends: list[int]) -> None:
        """Copy another seat's cache where it holds more of a text."""
        reusable = [self._reusable(each, tokens, ends) for each in range(self.n_seats)]
        other = max(range(self.n_seats), key=reusable.__getitem__)
        if reusable[other] > reusable[seat]:
            self._forget(seat, 0)
            self._lib.llama_memory_seq_cp(self._memory, other, seat, -1, -1)
            self._seats[seat].held = list(self._seats[other].held)
            self._seats[seat].ends = list(self._seats[other].ends)

    def _reusable(self, seat: int, tokens: list[int], ends: list[int]) -> int:
        """Return how many tokens of a text stand in a seat's cache, in the same whole blocks."""
        own = self._seats[seat]
        shared = n_shared(own.held, tokens)
        return max((end for end in own.ends if end <= shared and end in ends), default=0)

    def _forget(self, seat: int, position: int) -> None:
        """Drop a seat's cache from a position on."""
        self._check_open()
        own = self._seats[seat]
        del own.held[position:]
        own.ends = [end for end in own.ends if end <= position]
        if position < len(own.read):
            own.read = []
        if not self._lib.llama_memory_seq_rm(self._memory, seat, position, -1):
            raise RuntimeError(f"llama.cpp could not cut its cache at {position}")

    def _decode(self, seat: int, tokens: Sequence[int], position: int, first: int) -> Rows:
        """Evaluate tokens at a position; returns a view (rows, V) of the logits from `first` on."""
        batch = self._batch.fill(tokens, position, first, seat)
        return self._logits(batch, first, position + len(tokens))

    def _logits(self, batch: Batch, first: int, room: int) -> Rows:
        """Run a batch; returns a view (rows, V) of the logits of its tokens from `first` on."""
        self._check_open()
        check_room(room, 0, self._most)  # beyond it llama.cpp would abort
        code = self._lib.llama_decode(self._context, batch)
        if code != 0:
            self._seats = [_Seat() for _ in range(self.n_seats)]
            raise InputError(
                f"llama.cpp could not evaluate {batch.n_tokens} tokens (code {code})",
                where=str(self._path),
                fix=errors_of(self._lib) or "open the model with a larger context",
            )
        rows = max(0, batch.n_tokens - first)
        if not rows:
            return np.empty((0, self.n_vocab), np.float32)
        pointer = self._lib.llama_get_logits_ith(self._context, first)
        return np.ctypeslib.as_array(pointer, shape=(rows, self.n_vocab))

    def _make_context(self, room: int) -> None:
        """Make llama.cpp's context with empty caches of `room` tokens a seat."""
        if self._context:
            self._lib.llama_free(self._context)
        params = context_params(
            self._lib,
            n_ctx=room,
            n_batch=max(self.n_seats, min(BLOCK, self._most)),
            seats=self.n_seats,
        )
        self._context = self._lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise BadFile(
                "llama.cpp cannot run this model",
                where=str(self._path),
                fix=errors_of(self._lib),
            )
        self._lib.llama_set_n_threads(self._context, self._threads, self._threads)
        if self._adapter is not None:
            use_adapter(self._lib, self._context, self._adapter)
        self._memory = self._lib.llama_get_memory(self._context)
        self._room = room
        self._seats = [_Seat() for _ in range(self.n_seats)]

    def _check_open(self) -> None:
        if self._context is None:  # llama.cpp would end the whole process
            raise RuntimeError("the model is closed")


def _whole_fours(start: int, stop: int, most: int) -> range:
    """Return the seats from start to stop with neighbours, so that they are a multiple of four.

    llama.cpp's products take four rows at a time and single ones after them: seven take longer
    than eight, and of float tensors a lone row is summed in another order. What stands on the two
    sides of a gap would be evaluated apart.
    """
    n = min(-4 * ((start - stop) // 4), most)
    start = min(start, most - n)
    return range(start, start + n)
