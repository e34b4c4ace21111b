"""Rotary positions (Su et al., 2104.09864), fused with the norm of each head where there is one.

    t = x · r ⊙ w   (or x itself)        y₁ = t₁ cos − t₂ sin,   y₂ = t₂ cos + t₁ sin

t₁ and t₂ are the halves of what is rotated of a head, as in transformers. The gradient is the
rotation backwards, then the norm's. q's factor (1/√head_dim, or Gemma's) rides along: in w, or in
the tables.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seemant.models.decoder.norm import inverse_rms, norm_gradient
from seemant.models.decoder.rope import Rope

Table = tuple[Tensor, Tensor]  # cos (N, 1, head_dim), sin (N, 1, rotated / 2), float32


class RotaryTables:
    """cos and sin of every rotation of a model by position, grown to the longest row seen.

    rotated: how many numbers of each head are; None: all. cos is 1 for the others.
    """

    def __init__(self, head_dim: int, rotated: int | None = None) -> None:
        self._widths = head_dim, rotated or head_dim
        self._of: dict[tuple[Rope, float], Table] = {}

    def rows(self, rope: Rope, scale: float, lengths: Sequence[int], device: torch.device) -> Table:
        """Return the tables for rows of these lengths, one after another; both times `scale`."""
        if rope.kind == "longrope":
            return self._by_length(rope, scale, lengths, device)
        longest = max(lengths, default=0)
        cos, sin = self._of.get((rope, scale), (None, None))
        if cos is None or sin is None or len(cos) < longest or cos.device != device:
            n = max(64, longest)
            cos, sin = (each.mul_(scale).to(device) for each in _tables(rope, *self._widths, n))
            self._of[rope, scale] = cos, sin
        if len(lengths) == 1:
            return cos[:longest], sin[:longest]
        none = torch.arange(0, device=device)
        at = torch.cat([none, *(torch.arange(length, device=device) for length in lengths)])
        return cos[at], sin[at]

    def _by_length(
        self, rope: Rope, scale: float, lengths: Sequence[int], device: torch.device
    ) -> Table:
        # A row longer than the model was first trained on takes the other factors, all of it.
        ropes = {
            longer: replace(rope, kind="factors", factors=factors, original=0)
            for longer, factors in ((False, rope.factors), (True, rope.long_factors))
        }
        tables = [
            self.rows(ropes[length > rope.original], scale, [length], device) for length in lengths
        ]
        if not tables:
            return self.rows(ropes[False], scale, lengths, device)
        cos, sin = zip(*tables, strict=True)
        return torch.cat(cos), torch.cat(sin)


def inverse_frequencies(rope: Rope, width: int) -> Tensor:
    """Return the angle a position, (width / 2,) float32, rounded as transformers rounds it."""
    if rope.kind == "none":
        return torch.zeros(width // 2)
    steps = torch.arange(0, width, 2, dtype=torch.float32)
    inverse = 1.0 / (rope.theta ** (steps / width))
    if rope.kind == "linear":
        return inverse / rope.factor
    if rope.kind == "factors":
        return inverse / torch.tensor(rope.factors, dtype=torch.float32)
    if rope.kind == "llama3":
        waves = 2 * math.pi / inverse
        slow = torch.where(waves > rope.original / rope.low, inverse / rope.factor, inverse)
        blend = (rope.original / waves - rope.low) / (rope.high - rope.low)
        between = (waves >= rope.original / rope.high) & (waves <= rope.original / rope.low)
        blended = (1 - blend) * slow / rope.factor + blend * slow
        return torch.where(between, blended, slow)
    return inverse


def rotated(x: Tensor, table: Table, w: Tensor | None, eps: float) -> Tensor:
    """Return x (N, heads, head_dim) rotated, of its type; with w, normalised by head before it."""
    y: Tensor = _Rotated.apply(x, w, table, eps)  # type: ignore[no-untyped-call]
    return y


class _Rotated(torch.autograd.Function):
    """Saves x and r where there is a norm, else nothing; the tables are the model's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor | None, table: Table, eps: float) -> Tensor:
        ctx.table, ctx.dtype, ctx.normed = table, x.dtype, w is not None
        wide = x.float()
        if w is None:
            return _turned(wide, *table, 1).to(x.dtype)
        r = inverse_rms(wide, eps)
        ctx.save_for_backward(x, w, r)
        return _turned((wide * r).mul_(w), *table, 1).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        cos, sin = ctx.table
        turned = _turned(g.float(), cos, sin, -1)
        if not ctx.normed:
            return turned.to(ctx.dtype), None, None, None
        x, w, r = ctx.saved_tensors
        wide = x.float()
        gw = (turned * wide).mul_(r).sum((0, 1)) if ctx.needs_input_grad[1] else None
        gx = None
        if ctx.needs_input_grad[0]:
            gx = norm_gradient(turned.mul_(w), wide, r).to(ctx.dtype)
        return gx, gw, None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, way: int) -> Tensor:
    """Return x, float32, turned by the tables' angles (way 1) or back (way -1); fresh."""
    half = sin.shape[-1]
    y = x * cos
    y[..., :half].addcmul_(x[..., half : 2 * half], sin, value=-way)
    y[..., half : 2 * half].addcmul_(x[..., :half], sin, value=way)
    return y


def _tables(rope: Rope, head_dim: int, rotated: int, n: int) -> Table:
    # The angle is rounded to float32 before its sine, as transformers does.
    angles = torch.outer(torch.arange(n, dtype=torch.float32), inverse_frequencies(rope, rotated))
    cos, sin = angles.cos(), angles.sin()
    if rope.attention != 1.0:
        cos, sin = cos * rope.attention, sin * rope.attention
    still = torch.ones(n, head_dim - rotated)
    return torch.cat((cos, cos, still), 1)[:, None], sin[:, None]
