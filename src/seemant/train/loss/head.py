"""Cross-entropy of an output head, streamed over blocks of the vocabulary.

For rows h_i and head W (V, d), with u_v = h · W_v, cross-entropy is an attention read whose keys
and values are both W:

    loss_i = lse_i - u_y            lse_i = ln Σ_v e^(u_v)
    ∂loss_i/∂h_i = E_q[W] - W_y     q = softmax(u)

so one pass over W gives loss and gradient with two matrix products; the M x V logits never exist.
With label smoothing ε and z-loss λ (PyTorch's and PaLM's meanings, arXiv 2204.02311):

    loss = (1-ε)(lse - u_y) + ε (lse - Σ_v u_v / V) + λ lse²
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.models.frozen.scratch import Scratch
from seemant.train.loss.heads import Head
from seemant.train.loss.rest import kept_logits, kept_of, sum_rest
from seemant.train.loss.stream import Reading
from seemant.train.loss.streamed import Closed, Shares, shares_of, streamed_loss


def streamed_cross_entropy(
    h: Tensor,
    targets: Tensor,
    head: Head,
    block: int,
    *,
    softcap: float | None = None,
    scale: float = 1.0,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    exact: bool = True,
    scratch: Scratch | None = None,
) -> Tensor:
    """Return what is minimised of each row alone; see `streamed_losses`."""
    return streamed_losses(
        h,
        targets,
        head,
        block,
        softcap=softcap,
        scale=scale,
        smoothing=smoothing,
        z_loss=z_loss,
        exact=exact,
        scratch=scratch,
    )[0]


def streamed_losses(
    h: Tensor,
    targets: Tensor,
    head: Head,
    block: int,
    *,
    softcap: float | None = None,
    scale: float = 1.0,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    exact: bool = True,
    scratch: Scratch | None = None,
) -> tuple[Tensor, Tensor]:
    """Return each row's loss and its plain cross-entropy -ln q_y, in nats, (M,) float32 each.

    The second has no gradient; it is what comparisons want, whatever is minimised. Both are zero,
    without gradient, where a row is ignored.

    h (M, d) float32 or bfloat16; targets (M,) int64, negative = ignored (such rows never reach
    the head); head (V, d): a frozen matrix, or a tensor, which gets a gradient if it asks for
    one. For the other arguments see `stream.Reading`; sums are float32 (float64 for float64
    inputs). With M = 0 it is a differentiable zero.
    """
    how = Reading(block=block, scale=scale, softcap=softcap, exact=exact, scratch=scratch)

    seen: list[Tensor] = []

    def close(shares: Shares) -> Closed:
        seen.append(-shares.kept.squeeze(1))
        return cross_entropy(shares, smoothing, z_loss)

    answered = targets >= 0
    if bool(answered.all()):
        loss = streamed_loss(h, head, targets.unsqueeze(1), close, how, spread=smoothing)
        return loss, seen[0].detach()
    ids = targets[answered].unsqueeze(1)
    some = streamed_loss(h[answered], head, ids, close, how, spread=smoothing)
    zeros = torch.zeros(len(h), dtype=some.dtype, device=h.device)
    return zeros.index_put((answered,), some), zeros.index_put((answered,), seen[0].detach())


def cross_entropy(shares: Shares, smoothing: float = 0.0, z_loss: float = 0.0) -> Closed:
    """Return the loss of a lone kept id, without the Σ_v u_v of smoothing.

    ∂/∂u_y = q_y - (1-ε) + 2λ lse q_y, and q_y - 1 = -q_R.
    """
    z_slope = 2 * z_loss * shares.lse
    kept = z_slope * shares.kept.exp() + smoothing - shares.q_rest
    nats = -(1 - smoothing) * shares.kept + smoothing * shares.lse + z_loss * shares.lse.square()
    return Closed(nats.squeeze(1), kept, 1 + z_slope)


@dataclass(frozen=True, slots=True)
class HeadStats:
    """What a head says at each row, (M,) each: entropy in nats, the best id, target = best."""

    entropy: Tensor
    best: Tensor
    correct: Tensor


@torch.no_grad()
def head_stats(h: Tensor, targets: Tensor, head: Head, how: Reading) -> HeadStats:
    """Return the statistics of rows h (M, d) with targets (M,), none of them ignored.

    One matrix product a block: half of a loss with its gradient. Meant for the steps that log.
    """
    ids = targets.unsqueeze(1)
    rest = sum_rest(h, head, kept_of(ids), how, gradient=False, stats=True)
    u, _ = kept_logits(h, head, ids, how)
    shares, w = shares_of(rest, u)
    assert rest.s is not None and rest.best is not None
    # H = -Σ q ln q; of the rest, ln q_v = (u_v - m) + (m - lse).
    of_rest = w * (rest.s + rest.z * (rest.m - shares.lse))
    entropy = torch.special.entr(shares.kept.exp()) - of_rest
    correct = u >= rest.m
    best = torch.where(correct, ids, rest.best)
    return HeadStats(entropy.squeeze(1), best.squeeze(1), correct.squeeze(1))
