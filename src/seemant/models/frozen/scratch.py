"""Memory for weights that are needed only for a moment, used again and again.

Under per-layer checkpointing a block's weights are needed three times: forward, recompute,
backward, the last two in a row. A ring that holds one block's weights saves the third rebuild;
one of k blocks saves k - 1 of the second, too. It is off unless asked for.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor

_ALIGN = 64  # bytes: a cache line, a vector register


class Scratch:
    """Buffers that all frozen matrices of a model share.

    keep_bytes: size of the ring of weights that are kept until others need the room; 0: none.
    A view is valid until the next `take` or `kept`: views of one scratch share memory.
    """

    def __init__(self, keep_bytes: int = 0) -> None:
        self._buffer = torch.empty(0, dtype=torch.uint8)
        self.keep(keep_bytes)

    def keep(self, n_bytes: int) -> None:
        """Make the ring n_bytes long, 0 for none, and empty it."""
        self._keep_bytes = n_bytes
        self._ring = torch.empty(0, dtype=torch.uint8)
        self._places: dict[Hashable, tuple[int, int]] = {}  # first and past-last byte in the ring
        self._next = 0

    def take(
        self,
        rows: int,
        columns: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return an uninitialised (rows, columns) view; the buffer grows to the largest asked."""
        n_bytes = rows * columns * dtype.itemsize
        self.reserve(n_bytes, device)
        return self._buffer[:n_bytes].view(dtype).view(rows, columns)

    def kept(
        self,
        owner: Hashable,
        shape: tuple[int, int],
        dtype: torch.dtype,
        device: torch.device,
        fill: Callable[[Tensor], None],
    ) -> Tensor:
        """Return what `fill` writes for an owner: from the ring where it still is, else filled.

        fill: writes all of a view of that shape; the same every time. Callers only read.
        What does not fit the ring goes through `take`.
        """
        n_bytes = shape[0] * shape[1] * dtype.itemsize
        if n_bytes > self._keep_bytes:
            view = self.take(*shape, dtype, device)
            fill(view)
            return view
        if self._ring.device != device or self._ring.numel() == 0:
            self.keep(self._keep_bytes)
            self._ring = torch.empty(self._keep_bytes, dtype=torch.uint8, device=device)
        key = (owner, dtype)
        place = self._places.get(key)
        start = self._free(n_bytes) if place is None else place[0]
        view = self._ring[start : start + n_bytes].view(dtype).view(shape)
        if place is None:
            fill(view)
            self._places[key] = (start, start + n_bytes)  # only now: a fill may be interrupted
        return view

    def reserve(self, n_bytes: int, device: torch.device | str = "cpu") -> None:
        """Grow to at least n_bytes now, so that no later `take` of so much allocates."""
        if self._buffer.device != torch.device(device) or self._buffer.numel() < n_bytes:
            self._buffer = torch.empty(0, dtype=torch.uint8)  # the old one goes first
            self._buffer = torch.empty(n_bytes, dtype=torch.uint8, device=device)

    @property
    def n_bytes(self) -> int:
        """Bytes held now."""
        return self._buffer.numel() + self._ring.numel()

    def _free(self, n_bytes: int) -> int:
        """Return where n_bytes of the ring begin, its older tenants put out."""
        start = self._next if self._next + n_bytes <= self._keep_bytes else 0
        stop = start + n_bytes
        self._places = {
            key: (a, b) for key, (a, b) in self._places.items() if b <= start or a >= stop
        }
        self._next = -(-stop // _ALIGN) * _ALIGN
        return start
