"""KLD of two heads over the vocabulary, a slice of it at a time: no row of logits is ever whole.

The sums are those of `probe.vocabulary`. Each slice of the head is read once for all rows, where
rows of whole log-softmaxes would read it once for every 32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.models.decoder.decoder import Decoder
from seemant.models.frozen.float_matrix import FloatMatrix
from seemant.models.frozen.gemm import product
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.probe.divergence import TokenDivergence
from seemant.probe.vocabulary import Running, summed

_CELLS = 1 << 20  # logits of one slice: 4 MB of float32, so that a few of them stay in the cache
_LEAST = 256  # columns of a slice: fewer would starve the product


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """An output matrix (V, d) and the soft cap of its logits.

    matrix: a float32 tensor, or codes that are dequantised by slices.
    """

    matrix: Tensor | FrozenMatrix
    softcap: float | None

    @classmethod
    def of(cls, decoder: Decoder) -> "Head":
        """Return a decoder's head; a float matrix by its tensor, which outlives a swap."""
        given = decoder.head_weight
        if isinstance(given, FloatMatrix):
            given = given.weight
        matrix = given.detach() if isinstance(given, Tensor) else given
        return cls(matrix, decoder.shape.softcap)

    @property
    def n_vocab(self) -> int:
        """How many rows the matrix has."""
        return int(self.matrix.shape[0])

    def logits(self, hidden: Tensor, start: int, stop: int) -> Tensor:
        """Return logits [start, stop) of the vocabulary: hidden (n, d) -> (n, stop - start)."""
        if isinstance(self.matrix, Tensor):
            rows = self.matrix[start:stop].to(hidden.dtype)
        else:
            rows = self.matrix.rows(start, stop, hidden.dtype)
        found = product(hidden, rows)
        return torch.tanh_(found.div_(self.softcap)).mul_(self.softcap) if self.softcap else found


@torch.inference_mode()
def divergence(
    p_hidden: Tensor, p_head: Head, q_hidden: Tensor, q_head: Head, targets: Tensor
) -> TokenDivergence:
    """Return the divergence of every row.

    p_hidden, q_hidden: final-norm states (n, d) float32 of reference and candidate; targets (n,)
    int64, the tokens that came.

    Raises:
        ValueError: vocabularies of different sizes.
    """
    if p_head.n_vocab != q_head.n_vocab:
        raise ValueError(f"vocabularies of {p_head.n_vocab} and {q_head.n_vocab}")
    n = len(targets)
    p, q, cross = Running(targets), Running(targets), torch.zeros(n, dtype=torch.float64)
    for start, stop in slices(n, p_head.n_vocab):
        a = p_head.logits(p_hidden, start, stop)
        b = q_head.logits(q_hidden, start, stop)
        difference = a - b
        q.add(b, start)
        weight, rescale = p.add(a, start)
        cross.mul_(rescale).add_(weight.mul_(difference).sum(1))
    return summed(p, q, cross)


@torch.inference_mode()
def nll(hidden: Tensor, head: Head, targets: Tensor) -> Tensor:
    """Return -log p(target) of every row, (n,) float64 nats; arguments as in `divergence`."""
    p = Running(targets)
    for start, stop in slices(len(targets), head.n_vocab):
        p.add(head.logits(hidden, start, stop), start)
    return p.nll()


def slices(n_rows: int, n_vocab: int) -> list[tuple[int, int]]:
    """Return the cuts of the vocabulary for so many rows."""
    step = max(_LEAST, _CELLS // max(n_rows, 1))
    return [(start, min(start + step, n_vocab)) for start in range(0, n_vocab, step)]
