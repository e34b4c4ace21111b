"""One pass over the vocabulary that keeps a few ids apart and sums up the rest.

A loss names a few ids of each row, K (the target; a teacher's best), and looks at all others, R,
together. With a running maximum m (Milakov & Gimelshein, arXiv 1805.02867, algorithm 3), a block
at a time, over R only:

    m' = max(m, max_b u);  a = e^(m-m');  z <- a z + Σ_b e^(u-m');  acc <- a acc + Σ_b e^(u-m') f W

K is kept out (its u is set to -∞) because it is what the losses subtract. The gradient of a well
predicted target y is (q_y - 1) W_y + ..., and 1 - q_y is then the rest's share z e^(m-lse), a sum,
instead of the difference of two numbers near one.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from seemant.train.loss.heads import Head, gather
from seemant.train.loss.stream import (
    Block,
    Reading,
    capped_,
    exp_,
    least,
    padded,
    read,
    rescale,
    wide_type,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """The ids that a loss names: ids (M, k) int64, negative where there is none.

    row, column, id: the same as pairs, in the order of ids, so that a block finds its own.
    """

    ids: Tensor
    row: Tensor
    column: Tensor
    id: Tensor

    def place(self, a: int, b: int, start: int, width: int) -> Tensor:
        """Return where pairs a to b lie in the flattened (M, width) logits from row `start`."""
        return self.row[a:b] * width + (self.id[a:b] - start)

    def bounds(self, n_rows: int, block: int) -> list[int]:
        """Return the number of the first pair of each block, and the number of all."""
        starts = torch.arange(0, n_rows + block, block, device=self.id.device)
        found: list[int] = torch.searchsorted(self.id, starts).tolist()
        return found


@dataclass(slots=True)
class Rest:
    """What a pass found: m, z (M, 1); acc (M, d), or None if not asked for.

    Only where asked: s (M, 1) = Σ_R e^(u-m) (u-m), best (M, 1) = the id of m. Only with a
    soft-cap and where asked, over the whole vocabulary: sum_u (M, 1), sum_fw (M, d) = Σ f W.
    p (M, V) = e^(u-m), 0 for kept ids: only if the vocabulary is one block, uncapped, and asked.
    """

    m: Tensor
    z: Tensor
    acc: Tensor | None = None
    s: Tensor | None = None
    best: Tensor | None = None
    sum_u: Tensor | None = None
    sum_fw: Tensor | None = None
    p: Tensor | None = None

    def of_rows(self, n: int) -> "Rest":
        """Return the same of the first n rows."""
        held: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        cut: dict[str, Any] = {name: x if x is None else x[:n] for name, x in held.items()}
        return Rest(**cut)


def kept_of(ids: Tensor) -> Kept:
    """Return the pairs of ids (M, k)."""
    flat = ids.reshape(-1)
    order = torch.argsort(flat, stable=True)[int((flat < 0).sum()) :]
    k = max(1, ids.shape[1])
    return Kept(ids, order // k, order % k, flat[order])


def sum_rest(
    h: Tensor,
    head: Head,
    kept: Kept,
    how: Reading,
    *,
    gradient: bool,
    spread: bool = False,
    stats: bool = False,
    keep_p: bool = False,
) -> Rest:
    """Return the sums over all ids that are not kept. h (M, d); for the flags see `Rest`."""
    n, h = len(h), padded(h)
    m = torch.full((len(h), 1), least(h), dtype=wide_type(h), device=h.device)
    rest = Rest(m, torch.zeros_like(m))
    if gradient:
        rest.acc = torch.zeros_like(h, dtype=m.dtype)
    if stats:
        rest.s, rest.best = torch.zeros_like(m), torch.zeros_like(m, dtype=torch.int64)
    if spread and how.softcap is not None:
        rest.sum_u = torch.zeros_like(m)
        rest.sum_fw = torch.zeros_like(h, dtype=m.dtype) if gradient else None
    bounds = kept.bounds(head.shape[0], how.block)
    for number, block in enumerate(read(h, head, how)):
        a, b = bounds[number : number + 2]
        p = _add(rest, block, kept.place(a, b, block.start, block.width))
        if keep_p and how.softcap is None and block.width == head.shape[0]:
            rest.p = p
        del block, p  # before the next one is made
    return rest.of_rows(n)


def kept_logits(h: Tensor, head: Head, ids: Tensor, how: Reading) -> tuple[Tensor, Tensor | None]:
    """Return (u, f or None for 1) of the kept ids, (M, k) wide; u = -∞ where there is none."""
    u = torch.empty(ids.shape, dtype=wide_type(h), device=h.device)
    x = h.to(u.dtype)
    for column in range(ids.shape[1]):
        w = gather(head, ids[:, column].clamp(min=0), u.dtype)
        u[:, column] = w.mul_(x).sum(1)
    f = capped_(u, how)
    return u.masked_fill_(ids < 0, -torch.inf), f


def add_kept_(gradient: Tensor, head: Head, ids: Tensor, weights: Tensor) -> Tensor:
    """Add Σ_K weights_v W_v to gradient (M, d) wide, in place; weights (M, k)."""
    for column in range(ids.shape[1]):
        w = gather(head, ids[:, column].clamp(min=0), gradient.dtype)
        gradient.addcmul_(w, weights[:, column : column + 1])
    return gradient


def _add(rest: Rest, block: Block, place: Tensor) -> Tensor:
    """Add a block whose kept logits lie at `place`; return its e^(u-m) f."""
    u, f = block.u, block.f
    if rest.sum_u is not None:
        rest.sum_u += u.sum(1, keepdim=True)
    if rest.sum_fw is not None and f is not None:
        rest.sum_fw = block.weigh(rest.sum_fw, f if block.s is None else f.clone())  # it uses f up
    u.view(-1).index_fill_(0, place, -torch.inf)
    if rest.best is not None:
        highest, at = u.max(1, keepdim=True)
        rest.best = torch.where(highest > rest.m, at + block.start, rest.best)
    else:
        highest = u.amax(1, keepdim=True)
    new = torch.maximum(rest.m, highest)  # m' = max(m, max_b u)
    a = rescale(rest.m, new)  # a = e^(m - m')
    p = exp_(u.sub_(new))  # e^(u - m')
    if rest.s is not None:  # Σ p ln p = -Σ entr(p), which is 0 where p is
        moved = rest.s + (rest.m - new) * rest.z
        rest.s = a * moved - torch.special.entr(p).sum(1, keepdim=True)
    rest.z = rest.z.mul_(a).add_(p.sum(1, keepdim=True))
    if rest.acc is not None:
        if f is not None:
            p.mul_(f)
        rest.acc = block.weigh(rest.acc.mul_(a), p)
    rest.m = new
    return p
