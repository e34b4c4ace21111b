"""Log-probabilities from logits, without a second copy of a 262,144-wide row where avoidable."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def log_softmax(logits: Floats) -> Floats:
    """Return log p (rows, V) = l - log sum exp l. The input stays as it is.

    The exponentials are float32 and their sum float64: within 1e-5 nats of all-float64, which a
    test holds, at a fifth of its time.
    """
    top = logits.max(axis=1, keepdims=True)
    shifted: Floats = logits - top
    total = np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float64)
    shifted -= np.log(total).astype(np.float32)
    return shifted


class NextToken:
    """The distribution of one next token; what all its tokens share is summed once."""

    def __init__(self, logits: Floats) -> None:
        """logits (V,), of which the object keeps a reference."""
        self._logits = logits
        self._top = logits.max()
        self._log_total = float(np.log(np.exp(logits - self._top).sum(dtype=np.float64)))

    def nats(self, token: int) -> float:
        """Return log p of a token."""
        return float(self._logits[token]) - float(self._top) - self._log_total


def token_nats(logits: Floats, targets: Sequence[int]) -> float:
    """Return the sum of log p of one target a row. logits (rows, V), rows = len(targets)."""
    total = 0.0
    for row, target in zip(logits, targets, strict=True):
        top = float(row.max())
        total += float(row[target]) - top
        total -= float(np.log(np.exp(row - row.max()).sum(dtype=np.float64)))
    return total
