"""Divergence from a whole teacher, whose head is streamed beside the student's.

Student logits u (M, V) of (h_s, W), teacher logits t of (h_t, W_t), another width if it likes,
both at temperature τ; q = softmax(u), p = softmax(t). One pass for the two directions, with one
running maximum, sum and accumulator each; all accumulators add up rows of the *student's* head:

    forward   KL(p‖q) = E_p[t - u] - lse_t + lse_u       ∂/∂h = (k/τ) (E_q[W] - E_p[W])
    reverse   KL(q‖p) = E_q[δ] - lse_u + lse_t           ∂/∂h = (k/τ) (E_q[δ W] - E_q[δ] E_q[W])

with δ = u - t, less a constant of the row: the result does not change, and no large numbers
cancel. The generalised Jensen-Shannon divergence of GKD (arXiv 2306.13649, equation 1),

    β KL(p‖n) + (1-β) KL(q‖n),  n = β p + (1-β) q;   ∂/∂h = (k/τ) (1-β) E_q[(r - E_q r) W]

with r = ln(q/n), needs both normalisers first: two passes. All are returned times τ².
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from seemant.train.loss.heads import Head
from seemant.train.loss.stream import Block, Reading, exp_, least, padded, read, rescale, wide_type

Divergence = Literal["forward", "reverse", "jsd"]


def streamed_kl(
    h_student: Tensor,
    h_teacher: Tensor,
    head_student: Head,
    head_teacher: Head,
    *,
    block: int,
    temperature: float = 1.0,
    direction: Divergence = "forward",
    skew: float = 0.5,
    student: Reading | None = None,
    teacher: Reading | None = None,
) -> Tensor:
    """Return τ² times the divergence of each row in nats, (M,) float32.

    h_student (M, d) gets the gradient; h_teacher (M, d_t) and both heads, (V, d) and (V, d_t),
    do not. skew: β of "jsd". student, teacher: scale and soft-cap of their heads (block and
    temperature in them do not count).

    Raises:
        ValueError: heads of different vocabularies, or a head that asks for a gradient.
    """
    if head_student.shape[0] != head_teacher.shape[0]:
        raise ValueError(f"{head_student.shape[0]} and {head_teacher.shape[0]} vocabulary rows")
    if isinstance(head_student, Tensor) and head_student.requires_grad:
        raise ValueError("a divergence from a whole teacher trains no head")
    pair = _Pair(
        h_teacher.detach(),
        head_student,
        head_teacher,
        replace(student or Reading(block), block=block, temperature=temperature),
        replace(teacher or Reading(block), block=block, temperature=temperature),
    )
    loss: Tensor = _Divergence.apply(  # type: ignore[no-untyped-call]
        h_student, pair, direction, skew
    )
    return loss * temperature**2


@dataclass(frozen=True, slots=True)
class _Pair:
    """The teacher's side, and both heads."""

    h_teacher: Tensor
    head_student: Head
    head_teacher: Head
    student: Reading
    teacher: Reading

    def blocks(self, h: Tensor) -> Iterator[tuple[Block, Tensor, Tensor]]:
        """Give (the student's block, u, t) for padded student rows; all three may be written to."""
        other = padded(self.h_teacher)
        shared = self.head_student is self.head_teacher and h.dtype == other.dtype
        if shared and replace(self.teacher, scratch=None) == replace(self.student, scratch=None):
            # One head, as when a student is held near its own base: its rows are read once.
            for block in read(torch.cat([h, other]), self.head_student, self.student):
                yield block, block.u[: len(h)], block.u[len(h) :]
            return
        theirs = replace(self.teacher, scratch=None)  # the student's blocks may lie in it
        wide = wide_type(h)
        for ours, block in zip(
            read(h, self.head_student, self.student),
            read(other, self.head_teacher, theirs),
            strict=True,
        ):
            yield ours, ours.u, block.u.to(wide)


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, pair: _Pair, direction: Divergence, skew: float) -> Tensor:
        x, need = padded(h), bool(ctx.needs_input_grad[0])
        if direction == "jsd":
            loss, gradient = _jsd(x, pair, skew, need)
        else:
            loss, gradient = (_forward if direction == "forward" else _reverse)(x, pair, need)
        if gradient is not None:
            ctx.gradient = gradient[: len(h)].mul_(pair.student.slope).to(h.dtype)
        return loss[: len(h)].squeeze(1)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        of_h = (ctx.gradient * upstream[0].unsqueeze(1)).to(ctx.gradient.dtype)
        return of_h, None, None, None


class _Mean:
    """Running maximum and sum of a softmax, and expectations under it."""

    def __init__(self, h: Tensor, gradient: bool) -> None:
        self.m = torch.full((len(h), 1), least(h), dtype=wide_type(h), device=h.device)
        self.z = torch.zeros_like(self.m)
        self.of_w = torch.zeros_like(h, dtype=self.m.dtype) if gradient else None

    def step(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Move to a block of logits u, fresh; return (e^(u-m'), a = e^(m-m'))."""
        new = torch.maximum(self.m, u.amax(1, keepdim=True))
        a = rescale(self.m, new)
        p = exp_(u - new)
        self.z = self.z.mul_(a).add_(p.sum(1, keepdim=True))
        self.m = new
        return p, a

    def weigh(self, block: Block, p: Tensor, a: Tensor) -> None:
        """Add p W to the expectation of W; p is used up."""
        if self.of_w is not None:
            self.of_w = block.weigh(self.of_w.mul_(a), _sloped_(p, block))

    @property
    def lse(self) -> Tensor:
        return self.m + self.z.log()


def _forward(h: Tensor, pair: _Pair, need: bool) -> tuple[Tensor, Tensor | None]:
    q, p = _Mean(h, need), _Mean(h, need)
    gap = torch.zeros_like(q.m)
    for block, u, t in pair.blocks(h):
        mass, a = p.step(t)
        gap = gap * a + (mass * (t - u)).sum(1, keepdim=True)
        p.weigh(block, mass, a)
        q.weigh(block, *q.step(u))
    loss = gap / p.z - p.lse + q.lse
    if q.of_w is None or p.of_w is None:
        return loss, None
    return loss, q.of_w.div_(q.z).sub_(p.of_w.div_(p.z))


def _reverse(h: Tensor, pair: _Pair, need: bool) -> tuple[Tensor, Tensor | None]:
    q, p = _Mean(h, need), _Mean(h, False)
    gap, shift = torch.zeros_like(q.m), None
    of_gap_w = torch.zeros_like(q.of_w) if q.of_w is not None else None
    for block, u, t in pair.blocks(h):
        delta = u - t
        shift = delta.mean(1, keepdim=True) if shift is None else shift
        delta.sub_(shift)
        p.step(t)
        mass, a = q.step(u)
        delta.mul_(mass)
        gap = gap * a + delta.sum(1, keepdim=True)
        if of_gap_w is not None:
            of_gap_w = block.weigh(of_gap_w.mul_(a), _sloped_(delta, block))
        q.weigh(block, mass, a)
    mean = gap / q.z
    loss = mean + (0 if shift is None else shift) - q.lse + p.lse
    if q.of_w is None or of_gap_w is None:
        return loss, None
    return loss, of_gap_w.sub_(q.of_w.mul_(mean)).div_(q.z)


def _jsd(h: Tensor, pair: _Pair, skew: float, need: bool) -> tuple[Tensor, Tensor | None]:
    q, p = _Mean(h, False), _Mean(h, False)
    for _, u, t in pair.blocks(h):
        q.step(u)
        p.step(t)
    lse_u, lse_t = q.lse, p.lse
    loss, mean_r = torch.zeros_like(q.m), torch.zeros_like(q.m)
    of_w = torch.zeros_like(h, dtype=q.m.dtype) if need else None
    of_r_w = torch.zeros_like(of_w) if of_w is not None else None
    log_skew, log_rest = torch.tensor([skew, 1 - skew], dtype=q.m.dtype).log().tolist()
    for block, u, t in pair.blocks(h):
        log_q, log_p = u.sub_(lse_u), t.sub_(lse_t)
        log_n = torch.logaddexp(log_p + log_skew, log_q + log_rest)
        mass, r = log_q.exp(), log_q - log_n
        r.mul_(mass)
        mean_r += r.sum(1, keepdim=True)
        loss += (log_p.exp() * (log_p - log_n)).sum(1, keepdim=True)
        if of_w is not None and of_r_w is not None:
            of_r_w = block.weigh(of_r_w, _sloped_(r, block))
            of_w = block.weigh(of_w, _sloped_(mass, block))
    value = skew * loss + (1 - skew) * mean_r
    if of_w is None or of_r_w is None:
        return value, None
    return value, of_r_w.sub_(of_w.mul_(mean_r)).mul_(1 - skew)


def _sloped_(p: Tensor, block: Block) -> Tensor:
    """Return p times the soft-cap's slope at the student's logits, in place."""
    return p if block.f is None else p.mul_(block.f[: len(p)])
