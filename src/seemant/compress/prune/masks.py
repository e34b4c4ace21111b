"""Masks: which weights of a matrix are pruned, given a score of each; the lowest scores go.

Two patterns. "unstructured:0.5" prunes that share, of every output row or of the whole matrix.
"2:4" (N:M) keeps at most N of every M consecutive inputs of a row: the pattern that sparse tensor
cores read (Mishra et al., arXiv 2104.08378).
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Within = Literal["row", "tensor"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is pruned: a share of the weights, or all but n of every m neighbours."""

    share: float
    n: int | None = None
    m: int | None = None

    def __str__(self) -> str:
        return f"unstructured:{self.share:g}" if self.m is None else f"{self.n}:{self.m}"


def pattern_of(text: str) -> Pattern:
    """Return the pattern that a text names: "unstructured:0.5", "2:4", "4:8".

    Raises:
        BadConfig: it names none.
    """
    if found := re.fullmatch(r"unstructured:(\d*\.?\d+)", text):
        if 0 < float(found[1]) < 1:
            return Pattern(float(found[1]))
    elif found := re.fullmatch(r"(\d+):(\d+)", text):
        n, m = int(found[1]), int(found[2])
        if 0 < n < m:
            return Pattern(1 - n / m, n, m)
    raise BadConfig(
        f"no sparsity pattern is called {text!r}",
        fix='use "unstructured:SHARE" with 0 < SHARE < 1, or "N:M" that keeps N of M, as "2:4"',
    )


def mask(score: Array, pattern: Pattern, *, within: Within = "row", name: str = "") -> Mask:
    """Return True where a weight is pruned, (rows, columns) as the scores are.

    within: with a share, whether floor(share * columns) of every row go, or floor(share * weights)
        of the whole matrix. Of equal scores the first in a row, or in the matrix, goes first.

    Raises:
        BadConfig: M does not divide the columns; names the tensor.
    """
    if pattern.m is not None and pattern.n is not None:
        rows, columns = score.shape
        if columns % pattern.m:
            raise BadConfig(
                f"the pattern {pattern} does not divide a row of {columns} weights",
                where=f"tensor {name}" if name else None,
                fix="use a pattern whose second number divides every row, or an unstructured one",
            )
        return _lowest(score.reshape(-1, pattern.m), pattern.m - pattern.n).reshape(rows, columns)
    pool = score if within == "row" else score.reshape(1, -1)
    return _lowest(pool, count(pattern.share, pool.shape[1])).reshape(score.shape)


def holds(zeros: Mask, pattern: Pattern) -> bool:
    """Return whether zeros (rows, columns) are at least those that a pattern asks for.

    A share is rounded down by the row, the matrix or blocks of columns: by one each at most.
    """
    if pattern.m is not None and pattern.n is not None:
        return bool((zeros.reshape(-1, pattern.m).sum(1) >= pattern.m - pattern.n).all())
    return int(zeros.sum()) >= pattern.share * zeros.size - sum(zeros.shape)


def count(share: float, size: int) -> int:
    """Return floor(share * size), not one less where the product is whole but for rounding."""
    return int(share * size + 1e-6)


def _lowest(score: Array, k: int) -> Mask:
    """Return True at the k lowest scores of every row of (rows, columns)."""
    if k == 0:
        return np.zeros(score.shape, np.bool_)
    limit = np.partition(score, k - 1, axis=1)[:, k - 1 : k].copy()
    out: Mask = score < limit
    ties = score == limit
    out |= ties & (np.cumsum(ties, axis=1, dtype=np.int32) <= k - out.sum(1, keepdims=True))
    return out
