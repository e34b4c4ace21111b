"""A matrix that is never trained, held as codes and dequantised where it is used.

W (rows, columns) stands for a linear layer's weight (out, in), or for an embedding (vocabulary,
width) that may serve as the head too. No float copy is kept: callers give a scratch to
dequantise into (`scratch.py`), and what comes back is for use at once.

Codes with one scale a row never need scaled weights for a product (s: (rows,), Q: the codes):

    Ŵ = diag(s) Q        x Ŵᵀ = (x Qᵀ) s        g Ŵ = (g s) Q

which rounds once less and touches N instead of `columns` numbers a row.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Self

import torch
from torch import Tensor, nn

from seemant.models.frozen.gemm import product, product_by_rows
from seemant.models.frozen.scratch import Scratch

_MEAN_BLOCK = 1 << 20  # elements dequantised at a time by `column_mean`


class FixedTypes(nn.Module):
    """A module whose own buffers move with a model and are never cast.

    `model.bfloat16()` must not round scales and biases: only the device is followed.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        if recurse:
            for child in self.children():
                child._apply(fn)  # type: ignore[no-untyped-call]
        for name, held in self._buffers.items():
            if held is not None:
                self._buffers[name] = held.to(_destination(fn, held))
        for name, held in self._parameters.items():  # codes that were cut over ranks
            if held is not None and held.device != (device := _destination(fn, held)):
                self._parameters[name] = nn.Parameter(held.data.to(device), held.requires_grad)
        return self


def _destination(fn: Callable[[Tensor], Tensor], held: Tensor) -> torch.device:
    return fn(torch.empty(0, dtype=held.dtype, device=held.device)).device


class FrozenMatrix(FixedTypes):
    """A frozen (rows, columns) matrix; the kinds differ in `_write`, `_scale` and `gather`.

    kind: one of `size.KINDS`. shape: (rows, columns). Codes and scales are buffers that are not
    part of a state dict; `.to(device)` moves them, and no `.to(dtype)` changes their types.
    """

    def __init__(self, kind: str, shape: tuple[int, int]) -> None:
        super().__init__()
        self.kind = kind
        self.shape = shape

    def factored(
        self, start: int, stop: int, dtype: torch.dtype, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return Q (stop - start, columns) and s (stop - start,), of dtype: Ŵ[start:stop] = s Q.

        s is None where Q is Ŵ itself. Q lies in `out` where it is given; a float matrix of that
        dtype gives a view of its own storage instead, so do not write into Q.
        """
        if out is None:
            out = torch.empty(stop - start, self.shape[1], dtype=dtype, device=self.device)
        self._write(out, start, stop)
        return out, self._scale(start, stop, dtype)

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the rows of `ids` (N,) int64: a fresh (N, columns) of dtype."""
        raise NotImplementedError

    def rows(self, start: int, stop: int, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """Return Ŵ[start:stop], (stop - start, columns) of dtype; `out` as in `factored`."""
        codes, scale = self.factored(start, stop, dtype, out)
        return codes if scale is None else codes.mul_(scale.unsqueeze(1))

    def dequantised(self, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """Return all of Ŵ, (rows, columns) of dtype; `out` as in `factored`."""
        return self.rows(0, self.shape[0], dtype, out)

    def times(self, x: Tensor, scratch: Scratch) -> Tensor:
        """Return x Ŵᵀ: x (N, columns) -> (N, rows), fresh, in x's dtype."""
        codes, scale = self._factors(x, scratch)
        y = product(x, codes)
        return y if scale is None else y.mul_(scale)

    def times_transposed(self, g: Tensor, scratch: Scratch) -> Tensor:
        """Return g Ŵ, the gradient of `times`: g (N, rows) -> (N, columns), fresh."""
        codes, scale = self._factors(g, scratch)
        return product_by_rows(g if scale is None else g * scale, codes)

    def column_mean(self) -> Tensor:
        """Return the mean over the rows, (columns,) float32, a block of rows at a time."""
        n_rows, n_columns = self.shape
        step = max(1, _MEAN_BLOCK // n_columns)
        total = torch.zeros(n_columns, dtype=torch.float64, device=self.device)
        block = torch.empty(min(step, n_rows), n_columns, device=self.device)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            total += self.rows(start, stop, torch.float32, block[: stop - start]).sum(0)
        return (total / n_rows).float()

    @property
    def n_bytes(self) -> int:
        """Bytes of codes and scales as held."""
        return sum(each.nbytes for each in self._held())

    @property
    def device(self) -> torch.device:
        """Where the codes lie."""
        return next(self._held()).device

    def extra_repr(self) -> str:
        """Return the kind and the shape, for `repr`."""
        return f"{self.kind}, {self.shape[0]} x {self.shape[1]}"

    def _held(self) -> Iterator[Tensor]:
        # Sharding over ranks turns buffers into parameters of the same names.
        return chain(self.buffers(), self.parameters())

    def _factors(self, beside: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor | None]:
        """Return Q and s of the whole matrix, of a tensor's dtype and in the scratch."""
        n_rows = self.shape[0]
        codes = scratch.kept(
            self, self.shape, beside.dtype, beside.device, lambda out: self._write(out, 0, n_rows)
        )
        return codes, self._scale(0, n_rows, beside.dtype)

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        """Write Q[start:stop] into out (stop - start, columns), of any float type."""
        raise NotImplementedError

    def _scale(self, start: int, stop: int, dtype: torch.dtype) -> Tensor | None:
        """Return s[start:stop] of dtype; None: Q is Ŵ."""
        return None
