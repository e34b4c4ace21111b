"""From sums over the vocabulary to a loss with its gradient: the step that all losses share.

A loss sees its row's probabilities as q_v of the kept ids and q_R of all others together, and
says its value and how it changes: g_v = ∂ℓ/∂u_v of kept ids, and g_R with ∂ℓ/∂u_v = g_R q_v for
every v of the rest. Then, with w = e^(m - lse),

    ∂ℓ/∂h = (k/τ) [ g_R w acc + Σ_K g_v f_v W_v ]                                  (one pass)
    ∂ℓ/∂W_v = (k/τ) Σ_i (g_R w e^(u_v - m), or g_v)_i f_v h_i                   (a trained head)

The second needs lse before its products: a second pass in the backward, or none where the
vocabulary is one block, whose exponentials are then kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seemant.models.frozen.gemm import accumulate, product
from seemant.train.loss.heads import Head, column_mean
from seemant.train.loss.rest import Kept, Rest, add_kept_, kept_logits, kept_of, sum_rest
from seemant.train.loss.stream import Reading, exp_, padded, read, wide_type


@dataclass(frozen=True, slots=True)
class Shares:
    """What a loss sees of its rows.

    kept: (M, k) ln q_v, -∞ where there is no id. rest: (M, 1) ln q_R, -∞ without a rest;
    q_rest: (M, 1) q_R. lse: (M, 1) the log-normaliser of u.
    """

    kept: Tensor
    rest: Tensor
    q_rest: Tensor
    lse: Tensor


@dataclass(frozen=True, slots=True)
class Closed:
    """A loss (M,) in nats, with g_v (M, k) of the kept ids and g_R (M, 1) of the rest."""

    loss: Tensor
    kept: Tensor
    rest: Tensor


Close = Callable[[Shares], Closed]


def streamed_loss(
    h: Tensor, head: Head, ids: Tensor, close: Close, how: Reading, *, spread: float = 0.0
) -> Tensor:
    """Return the loss of each row, (M,) float32 (float64 of float64); M may be 0.

    h (M, d); head (V, d), trained where it is a tensor that asks for a gradient; ids (M, k) int64
    are the kept ones, different within a row, negative for none. spread ε: less (ε/V) Σ_v u_v.
    """
    trained = head if isinstance(head, Tensor) and head.requires_grad else None
    loss: Tensor = _Streamed.apply(  # type: ignore[no-untyped-call]
        h, trained, head, ids, close, how, spread
    )
    return loss


def shares_of(rest: Rest, u: Tensor) -> tuple[Shares, Tensor]:
    """Return the shares of kept logits u (M, k) and of the rest, and w = e^(m - lse) (M, 1)."""
    top = torch.maximum(rest.m, u.amax(1, keepdim=True))
    w = torch.exp(rest.m - top)
    rest_sum = rest.z * w
    total = rest_sum + torch.exp(u - top).sum(1, keepdim=True)
    lse = top + total.log()
    log_kept = u - lse
    if u.shape[1] == 1:  # ln q = -ln(1 + rest / e^u): exact near q = 1, of use nowhere else
        near = -torch.log1p(rest_sum / torch.exp(u - top))
        log_kept = torch.where(near > -1, near, log_kept)
    log_rest = rest_sum.log() - total.log()
    return Shares(log_kept, log_rest, rest_sum / total, lse), w / total


class _Streamed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        trained: Tensor | None,
        head: Head,
        ids: Tensor,
        close: Close,
        how: Reading,
        spread: float,
    ) -> Tensor:
        need_h, need_w = ctx.needs_input_grad[:2]
        kept = kept_of(ids)
        rest = sum_rest(
            h, head, kept, how, gradient=need_h, spread=spread > 0, keep_p=need_w and not spread
        )
        u, f = kept_logits(h, head, ids, how)
        shares, w = shares_of(rest, u)
        closed = close(shares)
        loss = closed.loss
        g_kept, g_rest = closed.kept if f is None else closed.kept * f, closed.rest * w
        gradient = None
        if rest.acc is not None:
            gradient = add_kept_(rest.acc.mul_(g_rest), head, ids, g_kept)
        if spread:
            loss = loss - spread * _spread(h, head, how, rest, spread, gradient)
        if gradient is not None:
            ctx.gradient = gradient.mul_(how.slope).to(h.dtype)
        if need_w:
            ctx.save_for_backward(h, trained)
            ctx.second = _Second(kept, rest.m, rest.p, g_rest, g_kept, how, spread)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        of_h = of_w = None
        if ctx.needs_input_grad[0]:
            of_h = (ctx.gradient * upstream[0].unsqueeze(1)).to(ctx.gradient.dtype)
        if ctx.needs_input_grad[1]:
            h, trained = ctx.saved_tensors
            of_w = ctx.second.gradient(h, trained, upstream[0].unsqueeze(1))
        return of_h, of_w, None, None, None, None, None


def _spread(
    h: Tensor, head: Head, how: Reading, rest: Rest, spread: float, gradient: Tensor | None
) -> Tensor:
    """Return the mean logit of each row, (M,); take ε Σ_v f W / V off the gradient.

    Without a soft-cap the mean of the logits is the logit of the mean row: no sum is needed.
    """
    if rest.sum_u is None:
        mean = column_mean(head, how.block).to(wide_type(h))
        if gradient is not None:
            gradient.sub_(mean, alpha=spread)
        return how.slope * (h.to(mean.dtype) @ mean)
    if gradient is not None and rest.sum_fw is not None:
        gradient.sub_(rest.sum_fw, alpha=spread / head.shape[0])
    return rest.sum_u.squeeze(1) / head.shape[0]


@dataclass(frozen=True, slots=True)
class _Second:
    """What the gradient of a trained head needs of the first pass."""

    kept: Kept
    m: Tensor
    p: Tensor | None
    g_rest: Tensor
    g_kept: Tensor
    how: Reading
    spread: float

    def gradient(self, h: Tensor, head: Tensor, upstream: Tensor) -> Tensor:
        """Return ∂/∂W, (V, d) of the head's type; upstream (M, 1)."""
        n_rows = len(head)
        if not len(h):
            return torch.zeros_like(head)
        bounds = self.kept.bounds(n_rows, self.how.block)
        of_kept = (self.g_kept * upstream)[self.kept.row, self.kept.column]
        if self.p is not None:  # one block: nothing has to be read again
            p = self.p * (self.g_rest * upstream)
            p.view(-1).index_copy_(0, self.kept.place(0, bounds[-1], 0, n_rows), of_kept)
            return self._weigh(torch.zeros_like(head), p.to(h.dtype), h)
        found = torch.empty_like(head)
        x, m, of_rest = padded(h), padded(self.m), padded(self.g_rest * upstream)
        share = padded(upstream * (self.spread / n_rows))
        for number, block in enumerate(read(x, head, self.how)):
            a, b = bounds[number : number + 2]
            p = exp_(block.u.sub_(m)).mul_(of_rest)
            if block.f is not None:
                p.mul_(block.f)
            place = self.kept.place(a, b, block.start, block.width)
            p.view(-1).index_copy_(0, place, of_kept[a:b])
            if self.spread:
                p.sub_(share if block.f is None else share * block.f)
            rows = found[block.start : block.start + block.width]
            rows.copy_(self._weigh(rows.zero_(), block.narrowed(p), x))
        return found

    def _weigh(self, acc: Tensor, p: Tensor, h: Tensor) -> Tensor:
        """Return (k/τ) pᵀ h (B, d) in the head's type; acc (B, d) is zero, and used."""
        if h.dtype == acc.dtype:
            return product(p.T, h.T).mul_(self.how.slope)
        return accumulate(acc, p.T, h, exact=False).mul_(self.how.slope)
