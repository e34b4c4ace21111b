"""How far a candidate's next-token distributions lie from a reference's, exactly.

For a scored token t with reference p and candidate q over the vocabulary V, in nats:

    KLD_t  = sum_v p_v (log p_v - log q_v)
    top1_t = [argmax p = argmax q]
    dnll_t = -log q(x_t) + log p(x_t)          PPL ratio = exp(mean dnll)

The ratio is paired: far tighter than two perplexities (design note on compression, section 5).
Here from whole rows of float32 log-softmaxes, the readable way; the stage never has whole rows of
a torch model's (`vocabulary.py`), and a test holds it to this one. Sums are float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]
_BLOCK_ROWS = 8


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


def joined(parts: Sequence[TokenDivergence]) -> TokenDivergence:
    """Return the slices' tokens as one; none make an empty one."""
    empty = np.empty(0)
    return TokenDivergence(
        kld=np.concatenate([empty, *(part.kld for part in parts)]),
        top1=np.concatenate([empty, *(part.top1 for part in parts)]),
        dnll=np.concatenate([empty, *(part.dnll for part in parts)]),
        nll_ref=np.concatenate([empty, *(part.nll_ref for part in parts)]),
    )
