"""How far a candidate's next-token distributions lie from a reference's, exactly.

For a scored token t with reference p and candidate q over the vocabulary V, in nats:

    KLD_t  = sum_v p_v (log p_v - log q_v)
    top1_t = [argmax p = argmax q]
    dnll_t = -log q(x_t) + log p(x_t)          PPL ratio = exp(mean dnll)

The ratio is paired: far tighter than two perplexities (design note on compression, section 5).
Rows come as float32 log-softmax slices, sums are float64, and no matrix of all positions exists.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
_BLOCK_ROWS = 8
MAX_ROWS = 32  # 32 x 262,144 float32 are 34 MB; a head gains little from more rows at once


@dataclass(frozen=True, slots=True)
class TokenDivergence:
    """Per scored token, (n,) each: KLD and dnll in nats, top1 0 or 1, the reference's own nll."""

    kld: Floats
    top1: Floats
    dnll: Floats
    nll_ref: Floats

    @property
    def n(self) -> int:
        """How many tokens were scored."""
        return len(self.kld)


def divergence(
    reference: Iterable[Rows], candidate: Iterable[Rows], targets: Sequence[int]
) -> TokenDivergence:
    """Return the divergence at every target. Slices (rows, V) may be cut differently.

    Raises:
        ValueError: an iterator has fewer or more rows than there are targets.
    """
    parts = []
    at = 0
    for p_rows, q_rows in aligned(reference, candidate):
        parts.append(rows_divergence(p_rows, q_rows, targets[at : at + len(p_rows)]))
        at += len(p_rows)
    if at != len(targets):
        raise ValueError(f"{at} rows for {len(targets)} targets")
    return joined(parts)


def rows_divergence(log_p: Rows, log_q: Rows, targets: Sequence[int]) -> TokenDivergence:
    """Return the divergence of one slice. log_p, log_q (rows, V) float32; targets (rows,).

    The KLD is summed in its generalised form, sum_v p_v (log p_v - log q_v) - p_v + q_v, which is
    the same for normalised rows, and without which float32 rows, normalised to 1e-6, can come out
    negative where p and q are almost equal.
    """
    if log_p.shape != log_q.shape or len(log_p) != len(targets):
        raise ValueError(f"rows {log_p.shape} and {log_q.shape} for {len(targets)} targets")
    at = np.arange(len(targets)), np.asarray(targets, dtype=np.intp)
    kld = np.empty(len(targets))
    for row in range(0, len(targets), _BLOCK_ROWS):  # few rows at a time: less memory, more cache
        block = slice(row, row + _BLOCK_ROWS)
        p, q = np.exp(log_p[block]), np.exp(log_q[block])
        kld[block] = np.einsum("rv,rv->r", p, log_p[block] - log_q[block], dtype=np.float64)
        kld[block] += q.sum(axis=1, dtype=np.float64) - p.sum(axis=1, dtype=np.float64)
    nll_ref = -log_p[at].astype(np.float64)
    return TokenDivergence(
        kld=np.maximum(kld, 0.0),  # what is left below 0 is rounding, 1e-7 at most
        top1=(log_p.argmax(axis=1) == log_q.argmax(axis=1)).astype(np.float64),
        dnll=-log_q[at].astype(np.float64) - nll_ref,
        nll_ref=nll_ref,
    )


def aligned(a: Iterable[Rows], b: Iterable[Rows]) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of slices of equal length, at most 32 rows, from two differently cut streams.

    Raises:
        ValueError: one stream ends before the other.
    """
    left, right = iter(a), iter(b)
    x: Rows | None = None
    y: Rows | None = None
    while True:
        x = next(left, None) if x is None or not len(x) else x
        y = next(right, None) if y is None or not len(y) else y
        if x is None and y is None:
            return
        if x is None or y is None:
            raise ValueError("one side has more rows than the other")
        n = min(len(x), len(y), MAX_ROWS)
        yield x[:n], y[:n]
        x, y = x[n:], y[n:]


def joined(parts: Sequence[TokenDivergence]) -> TokenDivergence:
    """Return the slices' tokens as one; none make an empty one."""
    empty = np.empty(0)
    return TokenDivergence(
        kld=np.concatenate([empty, *(part.kld for part in parts)]),
        top1=np.concatenate([empty, *(part.top1 for part in parts)]),
        dnll=np.concatenate([empty, *(part.dnll for part in parts)]),
        nll_ref=np.concatenate([empty, *(part.nll_ref for part in parts)]),
    )
