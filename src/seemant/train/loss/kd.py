"""Distillation from a teacher's few best tokens at each row, stored or at hand.

The teacher says p_v for k ids K of a row and, it may be, the mass p_R of all others together.
With q the student's probabilities at temperature τ and q_R those of the others:

    renormalised   τ² Σ_K p̃ ln(p̃/q)                          p̃ = p over its sum: no word on R
    with the tail  τ² [ Σ_K p ln(p/q) + p_R ln(p_R/q_R) ]     R is one more outcome
    reversed       τ² [ Σ_K q ln(q/p) + q_R ln(q_R/p_R) ]

τ² keeps the size of gradients (Hinton et al., arXiv 1503.02531, section 2). q_R is a sum over the
stream and never 1 - Σ q, which cancels. Gradients, as `streamed.Closed` wants them:

    forward   g_v = q_v - p_v            g_R = 1 - p_R/q_R (renormalised: 1)
    reversed  g_v = q_v (r_v - L)        g_R = r_R - L      with r = ln(q/p), L the loss
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from seemant.models.frozen.scratch import Scratch
from seemant.train.loss.heads import Head
from seemant.train.loss.stream import Reading
from seemant.train.loss.streamed import Close, Closed, Shares, streamed_loss

Direction = Literal["forward", "reverse"]
_LEAST_TAIL = -60.0  # ln p_R: a teacher's float32 tail of 0 would make a reversed loss infinite


def streamed_topk_kd(
    h: Tensor,
    ids: Tensor,
    logp: Tensor,
    head: Head,
    *,
    block: int,
    temperature: float = 1.0,
    tail: Tensor | None = None,
    direction: Direction = "forward",
    softcap: float | None = None,
    scale: float = 1.0,
    exact: bool = True,
    scratch: Scratch | None = None,
) -> Tensor:
    """Return τ² KL of each row in nats, (M,) float32.

    h (M, d); ids (M, k) int64, different within a row, negative for none; logp (M, k) the
    teacher's ln p *at this temperature*; tail (M,) its ln p_R, or None to renormalise over K.
    Stored values are rounded, so p and p_R are scaled to a sum of one. Without a tail only the
    forward direction says something about all ids. For the others see `stream.Reading`.

    Raises:
        ValueError: the reverse direction without a tail.
    """
    how = Reading(block, scale, softcap, temperature, exact, scratch)
    close = topk_close(ids, logp, tail, direction)
    return streamed_loss(h, head, ids, close, how) * temperature**2


def topk_close(
    ids: Tensor, logp: Tensor, tail: Tensor | None, direction: Direction = "forward"
) -> Close:
    """Return what makes KL, without the factor τ², of the shares of ids (M, k)."""
    absent = ids < 0
    log_p = logp.float().masked_fill(absent, -torch.inf)
    if tail is None:
        if direction == "reverse":
            raise ValueError("the reverse direction needs the tail's mass")
        log_p = torch.log_softmax(log_p, 1)
        return lambda shares: _forward(shares, log_p.to(shares.lse.dtype), None)
    whole = torch.cat([log_p, tail.float().unsqueeze(1).clamp(min=_LEAST_TAIL)], 1)
    whole = torch.log_softmax(whole, 1)
    way: Callable[[Shares, Tensor, Tensor], Closed]
    way = _forward if direction == "forward" else _reverse
    k = ids.shape[1]

    def close(shares: Shares) -> Closed:
        log = whole.to(shares.lse.dtype)
        return way(shares, log[:, :k], log[:, k:])

    return close


@dataclass(slots=True)
class Blended:
    """(1 - weight) · cross-entropy + weight · what `close` makes, from one pass.

    answers (M, k): True at the kept id that is the row's answer, once a row. weight (M,). nats:
    the cross-entropy alone, (M,) without gradient, after the pass.
    """

    close: Close
    answers: Tensor
    weight: Tensor
    nats: Tensor | None = None

    def __call__(self, shares: Shares) -> Closed:
        """Return the blend of one row each."""
        soft, by_row = self.close(shares), self.weight.to(shares.lse.dtype)
        by_id = by_row.unsqueeze(1)
        self.nats = -shares.kept.masked_fill(~self.answers, 0).sum(1)
        g_kept = shares.kept.exp() - self.answers.to(shares.kept.dtype)
        return Closed(
            torch.lerp(self.nats, soft.loss, by_row),
            torch.lerp(g_kept, soft.kept, by_id),
            (1 - by_id) + by_id * soft.rest,
        )


def _forward(shares: Shares, log_p: Tensor, log_tail: Tensor | None) -> Closed:
    p = log_p.exp()
    loss = _expected(p, log_p - shares.kept)
    kept = shares.kept.exp() - p
    if log_tail is None:
        return Closed(loss, kept, torch.ones_like(shares.rest))
    ratio = torch.where(shares.q_rest > 0, log_tail - shares.rest, 0)  # no rest: K is everything
    return Closed(loss + (log_tail.exp() * ratio).squeeze(1), kept, -torch.expm1(ratio))


def _reverse(shares: Shares, log_p: Tensor, log_tail: Tensor) -> Closed:
    q = shares.kept.exp()
    r = torch.where(q > 0, shares.kept - log_p, 0)
    r_rest = torch.where(shares.q_rest > 0, shares.rest - log_tail, 0)
    loss = (q * r).sum(1, keepdim=True) + shares.q_rest * r_rest
    return Closed(loss.squeeze(1), q * (r - loss), r_rest - loss)


def _expected(p: Tensor, values: Tensor) -> Tensor:
    """Return Σ_K p · values, (M,), where ids of no probability (or none at all) count 0."""
    return torch.where(p > 0, p * values, 0).sum(1)
