"""KLD over the vocabulary, a slice of it at a time: no row of a head's logits is ever whole.

With logits a (reference) and b (candidate), running maxima m, and sums in float64:

    Z_a = sum_v exp(a_v - m_a),   C = sum_v exp(a_v - m_a) (a_v - b_v)
    KLD = C / Z_a - (m_a + log Z_a) + (m_b + log Z_b)

as sum_v p_v (log p_v - log q_v) with log p_v = a_v - m_a - log Z_a. A slice that raises the maximum
rescales what was summed. Equal logits give exactly 0. A slice of the reference's logits serves all
candidates, and its few megabytes stay in the processor's cache through all steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seemant.models.decoder.weights import Blocks
from seemant.models.frozen.gemm import product
from seemant.probe.divergence import Rows, TokenDivergence

_CELLS = 1 << 19  # logits of one slice: 2 MB of float32, and there are a few of them
_LEAST = 256  # columns of a slice: fewer would starve the product


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """An output matrix (n_vocab, d), read by blocks of rows, and the soft cap of its logits."""

    n_vocab: int
    blocks: Blocks
    softcap: float | None

    def slices(self, hidden: Tensor, step: int) -> Iterator[Tensor]:
        """Yield the logits (n, step) of hidden states (n, d), slice after slice."""
        for rows in recut(self.blocks(), step):
            logits = product(hidden, rows)
            if self.softcap:
                logits = logits.div_(self.softcap).tanh_().mul_(self.softcap)
            yield logits


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Logits that exist already, up to a constant a row: parts (some, V) one below the other."""

    parts: Sequence[Rows]

    def slices(self, step: int) -> Iterator[Tensor]:
        """Yield copies of the logits (n, step), slice after slice."""
        parts = [torch.from_numpy(part) for part in self.parts]
        for start in range(0, parts[0].shape[1], step):
            yield torch.cat([part[:, start : start + step] for part in parts])

    @property
    def n_vocab(self) -> int:
        """How many logits a row has."""
        return int(self.parts[0].shape[1])


Source = tuple[Head, Tensor] | Given
"""A head with its hidden states (n, d), or logits."""


@torch.inference_mode()
def divergences(
    reference: tuple[Head, Tensor], candidates: Mapping[str, Source], targets: Sequence[int]
) -> dict[str, TokenDivergence]:
    """Return every candidate's divergence at all rows, by the candidate's name.

    targets: (n,), the tokens that came.

    Raises:
        ValueError: vocabularies of different sizes.
    """
    n_vocab = reference[0].n_vocab
    for name, each in candidates.items():
        own = each.n_vocab if isinstance(each, Given) else each[0].n_vocab
        if own != n_vocab:
            raise ValueError(f"vocabularies of {n_vocab} and, for {name}, {own} tokens")
    came = torch.tensor(list(targets))
    step = max(_LEAST, _CELLS // len(came))
    p = Running(came)
    q = {name: Running(came) for name in candidates}
    cross = {name: torch.zeros(len(came), dtype=torch.float64) for name in candidates}
    streams = {name: _slices(each, step) for name, each in candidates.items()}
    start = 0
    for a in _slices(reference, step):
        differences = {}
        for name, stream in streams.items():
            b = next(stream)
            differences[name] = a - b
            q[name].add(b, start)
        start += a.shape[1]
        weight, rescale = p.add(a, start - a.shape[1])
        for name, difference in differences.items():
            cross[name].mul_(rescale).add_(difference.mul_(weight).sum(1))
    return {name: summed(p, q[name], cross[name]) for name in candidates}


def recut(blocks: Iterable[Tensor], step: int) -> Iterator[Tensor]:
    """Yield the same rows in blocks of `step`, the last one of what is left."""
    held: list[Tensor] = []
    n = 0
    for each in blocks:
        block = each
        while n + len(block) >= step:
            cut = step - n
            yield torch.cat([*held, block[:cut]]) if held else block[:cut]
            block, held, n = block[cut:], [], 0
        if len(block):
            held.append(block)
            n += len(block)
    if held:
        yield torch.cat(held)


class Running:
    """What is known of each row's softmax after some slices; (n,) each, sums in float64."""

    def __init__(self, targets: Tensor) -> None:
        n = len(targets)
        self.targets = targets
        self.top = torch.full((n,), -torch.inf)
        self.best = torch.zeros(n, dtype=torch.int64)
        self.total = torch.zeros(n, dtype=torch.float64)
        self.at_target = torch.zeros(n, dtype=torch.float64)

    def add(self, logits: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Take in a slice (n, s), which is overwritten; its first column is token `start`.

        Returns exp(logits - top) (n, s), and what earlier sums must be multiplied by (n,).
        """
        place = self.targets - start
        (here,) = torch.where((place >= 0) & (place < logits.shape[1]))
        self.at_target[here] = logits[here, place[here]].double()
        high = logits.amax(1)
        (raised,) = torch.where(high > self.top)  # few, but for the first slices
        self.best[raised] = logits[raised].argmax(1) + start
        top = torch.maximum(self.top, high)
        rescale = (self.top - top).double().exp()
        self.top = top
        weight = logits.sub_(top[:, None]).exp_()
        self.total.mul_(rescale).add_(weight.sum(1))
        return weight, rescale

    def log_total(self) -> Tensor:
        """Return the log of the sum of exponentials, (n,)."""
        return self.top.double() + self.total.log()

    def nll(self) -> Tensor:
        """Return -log softmax at the targets, (n,)."""
        return self.log_total() - self.at_target


def _slices(source: Source, step: int) -> Iterator[Tensor]:
    if isinstance(source, Given):
        return source.slices(step)
    head, hidden = source
    return head.slices(hidden, step)


def summed(p: Running, q: Running, cross: Tensor) -> TokenDivergence:
    """Return the divergence of every row, from sums over the whole vocabulary; cross: C, (n,)."""
    kld = cross / p.total - p.log_total() + q.log_total()
    nll_ref = p.nll()
    return TokenDivergence(
        kld=np.maximum(kld.numpy(), 0.0),  # what is left below 0 is rounding
        top1=(p.best == q.best).double().numpy(),
        dnll=(q.nll() - nll_ref).numpy(),
        nll_ref=nll_ref.numpy(),
    )
