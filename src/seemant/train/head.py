"""The loss of a frozen output head, streamed over blocks of the vocabulary.

For rows h_i and head W (V, d), with u_v = h · W_v, cross-entropy is an attention read whose keys
and values are both W:

    loss_i = lse_i - u_y            lse_i = log sum_v exp(u_v)
    d loss_i / d h_i = E_p[W] - W_y        p = softmax(u)

so one pass that keeps a running max m, sum z and weighted sum acc of W's rows gives loss and
gradient with two matrix products; the full M x V logits never exist. The running max is that of
Milakov & Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867, algorithm 3.
"""

from typing import Any

import torch
from torch import Tensor


def streamed_cross_entropy(h: Tensor, targets: Tensor, weight: Tensor, block: int) -> Tensor:
    """Return each row's loss in nats, (M,) float32; zero, without gradient, where ignored.

    h (M, d) float32 or bfloat16; targets (M,) int64, negative = ignored (such rows never reach
    the head); weight (V, d) frozen, of h's type; block: vocabulary rows at a time. Max, sum and
    accumulator are float32 (float64 for float64 inputs). With M = 0 it is a differentiable zero.
    """
    kept = targets >= 0
    if bool(kept.all()):
        return _apply(h, targets, weight, block)
    some = _apply(h[kept], targets[kept], weight, block)
    return torch.zeros(len(h), dtype=some.dtype).index_put((kept,), some)


def _apply(h: Tensor, targets: Tensor, weight: Tensor, block: int) -> Tensor:
    loss: Tensor = _StreamedLoss.apply(h, targets, weight, block)  # type: ignore[no-untyped-call]
    return loss


class _StreamedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, targets: Tensor, weight: Tensor, block: int) -> Tensor:
        need = bool(ctx.needs_input_grad[0])
        loss, gradient = loss_and_gradient(h, targets, weight, block, need)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        scaled = gradient * upstream[0].unsqueeze(1)
        return scaled.to(ctx.saved_tensors[0].dtype), None, None, None


def loss_and_gradient(
    h: Tensor, targets: Tensor, weight: Tensor, block: int, need: bool
) -> tuple[Tensor, Tensor | None]:
    """Return (loss (M,), d loss / d h (M, d) or None); no target may be ignored here."""
    wide = torch.float64 if h.dtype == torch.float64 else torch.float32
    m = torch.full((len(h), 1), -torch.inf, dtype=wide)
    z = torch.zeros(len(h), 1, dtype=wide)
    acc = torch.zeros(len(h), h.shape[1], dtype=wide) if need else None
    logits = torch.empty(len(h), min(block, len(weight)), dtype=h.dtype)  # reused by every block
    for start in range(0, len(weight), block):
        w = weight[start : start + block]
        u = torch.mm(h, w.T, out=logits[:, : len(w)]) if len(h) else logits[:, : len(w)]
        u = u.to(wide)
        new = torch.maximum(m, u.amax(1, keepdim=True))  # m' = max(m, max_b u)
        a = rescale(m, new)  # a = e^(m - m')
        p = torch.exp_(u.sub_(new))  # e^(u - m')
        z.mul_(a).add_(p.sum(1, keepdim=True))  # z <- a z + sum_b e^(u - m')
        if acc is not None:
            acc.mul_(a)  # acc <- a acc + e^(u - m') W_b
            if h.dtype == wide:
                acc.addmm_(p, w)
            else:
                acc.add_(p.to(h.dtype) @ w)
        m = new
    own = weight[targets].to(wide)  # W_y
    loss = (m + z.log()).squeeze(1) - (h.to(wide) * own).sum(1)
    return loss, None if acc is None else acc.div_(z).sub_(own).to(h.dtype)


def rescale(old: Tensor, new: Tensor) -> Tensor:
    """Return e^(old - new): what earlier blocks weigh once a larger logit has been seen."""
    return torch.exp(old - new)
