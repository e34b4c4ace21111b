"""The one buffer in which tokens travel to llama.cpp, filled anew for each call."""

from collections.abc import Sequence
from ctypes import POINTER, c_int8, c_int32, pointer

from seemant.models.backends.llama_c import Batch


class BatchBuffer:
    """Room for `size` tokens of sequence 0. The arrays live as long as the object."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tokens = (c_int32 * size)()
        self._positions = (c_int32 * size)()
        self._counts = (c_int32 * size)(*[1] * size)
        self._sequence = c_int32(0)
        self._sequences = (POINTER(c_int32) * size)(*[pointer(self._sequence)] * size)
        self._wanted = (c_int8 * size)()

    def fill(self, tokens: Sequence[int], position: int, first: int) -> Batch:
        """Return a batch of tokens at position, position + 1, ...; logits from index first on."""
        n = len(tokens)
        if not 0 < n <= self._size:
            raise ValueError(f"{n} tokens in a batch of {self._size}")
        self._tokens[:n] = list(tokens)
        self._positions[:n] = list(range(position, position + n))
        self._wanted[:n] = [int(index >= first) for index in range(n)]
        return Batch(
            n_tokens=n,
            token=self._tokens,
            embd=None,
            pos=self._positions,
            n_seq_id=self._counts,
            seq_id=self._sequences,
            logits=self._wanted,
        )
