"""The one buffer in which tokens travel to llama.cpp, filled anew for each call."""

from collections.abc import Sequence
from ctypes import POINTER, c_int8, c_int32, pointer

from seemant.models.backends.llama_c import Batch


class BatchBuffer:
    """Room for `size` tokens of `seats` sequences. The arrays live as long as the object."""

    def __init__(self, size: int, seats: int = 1) -> None:
        self._size = size
        self._tokens = (c_int32 * size)()
        self._positions = (c_int32 * size)()
        self._counts = (c_int32 * size)(*[1] * size)
        self._seats = [pointer(c_int32(seat)) for seat in range(seats)]
        self._sequences = (POINTER(c_int32) * size)()
        self._wanted = (c_int8 * size)()

    def fill(self, tokens: Sequence[int], position: int, first: int, seat: int = 0) -> Batch:
        """Return a batch of tokens at position, position + 1, ...; logits from index first on."""
        n = len(tokens)
        if not 0 < n <= self._size:
            raise ValueError(f"{n} tokens in a batch of {self._size}")
        self._tokens[:n] = list(tokens)
        self._positions[:n] = list(range(position, position + n))
        self._sequences[:n] = [self._seats[seat]] * n
        self._wanted[:n] = [int(index >= first) for index in range(n)]
        return self._batch(n)

    def fill_row(
        self, seats: Sequence[int], tokens: Sequence[int], positions: Sequence[int]
    ) -> Batch:
        """Return a batch of one token a seat, each with its logits."""
        n = len(tokens)
        self._tokens[:n] = list(tokens)
        self._positions[:n] = list(positions)
        self._sequences[:n] = [self._seats[seat] for seat in seats]
        self._wanted[:n] = [1] * n
        return self._batch(n)

    def _batch(self, n: int) -> Batch:
        return Batch(
            n_tokens=n,
            token=self._tokens,
            embd=None,
            pos=self._positions,
            n_seq_id=self._counts,
            seq_id=self._sequences,
            logits=self._wanted,
        )
