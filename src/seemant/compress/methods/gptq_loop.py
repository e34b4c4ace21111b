"""GPTQ's loop over the columns of some rows: round one, feed its error on to those not yet rounded.

    q_j = snap(w_j),   e_j = (w_j - q_j) / U_jj,   w_k -= e_j U_jk  for k > j      (2210.17323)

The weights lie transposed, so that a column is contiguous. Errors wait: inside 32 columns a column
collects what the ones before it owe it, one product by vector; every 32 columns the rest of the
block is paid, one small product; every block the rest of the matrix, one large product.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.methods.gptq_orders import Arrangement
from seemant.formats.grids import Params
from seemant.formats.tensor_format import Format, joined

INNER = 32
_HALF_MAX = 65504.0

Fit = Callable[[NDArray[np.float32], Tensor], Params]
"""The grids of weights (R, k) float32 in stored order; with them their columns (k,)."""

Choose = Callable[[Tensor, Tensor], Tensor]
"""Which weights are removed: current weights (R, k), U_jj (k,) -> (R, k) bool."""


class Rounded(NamedTuple):
    """codes: (R, C) int16, stored order. errors: (C,) float64, Σ over rows of e² by place."""

    codes: NDArray[np.int16]
    params: Params
    errors: Tensor


def feed_back(
    w: Tensor,
    lower: Tensor,
    arrangement: Arrangement,
    format: Format,
    fit: Fit,
    *,
    block: int,
    prune: tuple[int, Choose] | None = None,
) -> Rounded:
    """Round the weights w (C, R), in the arrangement's order; they are overwritten.

    lower: Uᵀ (C, C) of w's type, float32 or float64.
    prune: every how many places some weights are chosen to become 0 (code 0), and how; the grids
    of a block that is fitted at such a place or later do not see the chosen ones.
    """
    n, n_rows = w.shape
    every, choose = prune or (n, None)
    mask = torch.zeros(n, n_rows, dtype=torch.bool) if choose else None
    scales = _Scales(arrangement, format, fit)
    if arrangement.static:
        back = torch.argsort(arrangement.columns)
        scales.add(w, back, mask)
    codes = torch.empty(n, n_rows, dtype=torch.int16)
    errors = torch.empty(min(block, n), n_rows, dtype=w.dtype)
    sums = torch.empty(n, dtype=torch.float64)
    diagonal, columns = lower.diagonal().tolist(), arrangement.columns.tolist()
    t, q = torch.empty_like(w[0]), torch.empty_like(w[0])
    steps = [arrangement.width] * (not arrangement.static) + [every] * bool(prune)
    for a, b, inner in _spans(n, block, steps):
        for c, d in inner:
            if choose and mask is not None and c % every == 0:
                ahead = slice(c, c + every)
                mask[ahead] = choose(w[ahead].T, lower.diagonal()[ahead]).T
            if (places := arrangement.fitted_at(c)) is not None:
                scales.add(w, places, mask)
            for j in range(c, d):
                row, e = w[j], errors[j - a]
                if j > c:
                    row.addmv_(errors[c - a : j - a].T, lower[j, c:j], alpha=-1)
                scales.round(row, columns[j], None if mask is None else mask[j], t, q, codes)
                torch.sub(row, q, out=e).mul_(1 / diagonal[j])
            if d < b:
                w[d:b].addmm_(lower[d:b, c:d], errors[c - a : d - a], alpha=-1)
        paid = errors[: b - a]
        if b < n:
            w[b:].addmm_(lower[b:, a:b], paid, alpha=-1)
        sums[a:b] = torch.linalg.vector_norm(paid, dim=1, dtype=torch.float64).square_()
    return Rounded(codes.T.numpy(), scales.params(), sums)


class _Scales:
    """The grids fitted so far: scale, its reciprocal and offset by small group, each (R,)."""

    def __init__(self, arrangement: Arrangement, format: Format, fit: Fit) -> None:
        n = len(arrangement.columns)
        self._format, self._fit, self._columns = format, fit, arrangement.columns
        self._group = format.grid.group or n
        self._of: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}
        self._parts: dict[int, Params] = {}

    def add(self, w: Tensor, places: Tensor, mask: Tensor | None) -> None:
        """Fit the block at these places (in stored order) of the weights w (C, R)."""
        columns = self._columns[places]
        now = w[places]
        if mask is not None:
            now = now.masked_fill(mask[places], 0)
        params = self._fit(now.T.float().contiguous().numpy(), columns)
        first = int(columns[0])
        self._parts[first] = params
        if self._format.is_float:
            return
        scales = _by_group(params.scale, w)
        inverses = torch.where(scales == 0, 0, 1 / scales)
        offsets = None if params.offset is None else _by_group(params.offset, w)
        for i in range(len(scales)):
            offset = None if offsets is None else offsets[i]
            self._of[first // self._group + i] = scales[i], inverses[i], offset

    def round(
        self, row: Tensor, column: int, mask: Tensor | None, t: Tensor, q: Tensor, codes: Tensor
    ) -> None:
        """Write the codes of a column's weights row (R,), and their values into q; t is space."""
        if self._format.is_float:
            half = row.clamp(-_HALF_MAX, _HALF_MAX).half()
            if mask is not None:
                half.masked_fill_(mask, 0)
            codes[column] = half.view(torch.int16)
            q.copy_(half)
            return
        scale, inverse, offset = self._of[column // self._group]
        if offset is None:
            torch.mul(row, inverse, out=t)
        else:
            torch.sub(row, offset, out=t).mul_(inverse)
        t.round_().clamp_(*_range(self._format))
        if mask is not None:
            t.masked_fill_(mask, 0)
        codes[column] = t
        torch.mul(t, scale, out=q)
        if offset is not None:
            q.add_(offset)

    def params(self) -> Params:
        """Return the grids of all columns, in stored order."""
        parts = [self._parts[first] for first in sorted(self._parts)]
        return parts[0] if len(parts) == 1 else joined(parts, 1)


def _by_group(numbers: NDArray[np.float32], like: Tensor) -> Tensor:
    """Return (R, groups, 1) as (groups, R) of a tensor's type."""
    return torch.from_numpy(np.ascontiguousarray(numbers[..., 0].T)).to(like.dtype)


def _range(format: Format) -> tuple[int, int]:
    return format.grid.lowest, format.grid.highest


def _spans(
    n: int, block: int, steps: list[int]
) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Yield blocks (first, stop, the inner spans): what begins at a multiple of a step finds all
    the columns of that step paid up to there.
    """
    outer, inner = {n}, {n}
    outer |= set(range(0, n, block))
    for step in steps:
        inner |= set(range(0, n, step))
        if step > block or block % step:
            outer |= set(range(0, n, step))
    for a, b in pairwise(sorted(outer)):
        cuts = sorted({a, b} | set(range(a, b, INNER)) | {c for c in inner if a < c < b})
        yield a, b, list(pairwise(cuts))
