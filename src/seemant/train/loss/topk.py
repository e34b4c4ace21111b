"""A teacher's best tokens at each row, its answer's own among them, and the mass of all others.

One pass over the vocabulary with one matrix product a block. The answer's token y is kept out of
the stream and always part of K: a student can then blend its answers' loss with the teacher's in
one pass. Of each block the k - 1 best go on as candidates; what is never or no longer among them
is added to the rest's sum, so p_R is a sum of small numbers and never 1 - Σ p.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.train.loss.heads import Head
from seemant.train.loss.rest import kept_logits, kept_of
from seemant.train.loss.stream import Reading, exp_, least, padded, read, rescale, wide_type


@dataclass(frozen=True, slots=True)
class TopK:
    """The k ids of each row, (M, k) int64, y first and the others best first; ln p; ln p_R (M,).

    All at the reading's temperature. p_R is 0 (its logarithm -∞) where K is the vocabulary.
    """

    ids: Tensor
    logp: Tensor
    tail: Tensor


@torch.no_grad()
def streamed_topk(h: Tensor, targets: Tensor, head: Head, k: int, how: Reading) -> TopK:
    """Return the k tokens of rows h (M, d) whose answers are targets (M,); 2 <= k <= V.

    Raises:
        ValueError: a k outside of that.
    """
    if not 2 <= k <= head.shape[0]:
        raise ValueError(f"k must be from 2 to the {head.shape[0]} tokens, not {k}")
    n, x = len(h), padded(h)
    best = torch.full((len(x), k - 1), -torch.inf, dtype=wide_type(h), device=h.device)
    ids = torch.full_like(best, -1, dtype=torch.int64)
    m = torch.full((len(x), 1), least(h), dtype=best.dtype, device=h.device)
    z = torch.zeros_like(m)
    kept = kept_of(targets.unsqueeze(1))
    bounds = kept.bounds(head.shape[0], how.block)
    for number, block in enumerate(read(x, head, how)):
        a, b = bounds[number : number + 2]
        u = block.u
        u.view(-1).index_fill_(0, kept.place(a, b, block.start, block.width), -torch.inf)
        top, at = u.topk(min(k - 1, block.width))
        u.scatter_(1, at, -torch.inf)
        both, order = torch.cat([best, top], 1).sort(dim=1, descending=True, stable=True)
        best, dropped = both[:, : k - 1], both[:, k - 1 :]
        ids = torch.cat([ids, at + block.start], 1).gather(1, order[:, : k - 1])
        new = torch.maximum(m, best.amax(1, keepdim=True))
        z.mul_(rescale(m, new))
        z.add_(exp_(u.sub_(new)).sum(1, keepdim=True))
        z.add_(torch.exp(dropped - new).sum(1, keepdim=True))
        m = new
    own, _ = kept_logits(h, head, kept.ids, how)
    u = torch.cat([own, best[:n]], 1)
    rest = m[:n] + z[:n].log()
    lse = torch.cat([u, rest], 1).logsumexp(1, keepdim=True)
    return TopK(torch.cat([kept.ids, ids[:n]], 1), u - lse, (rest - lse).squeeze(1))
