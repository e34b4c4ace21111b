"""The gated activation act(gate) ⊙ up as one autograd function that keeps gate and up only.

GELU's tanh form, x/2 (1 + tanh(√(2/π)(x + 0.044715 x³))), is x σ(z) with z = x (c₀ + c₁ x²),
c₀ = 2√(2/π), c₁ = 0.044715 c₀: the same function, and a sigmoid costs a tenth of a tanh here.

    a = x σ(z)        ∂up = g a        ∂x = g up (σ + a (1 − σ) z'),   z' = c₀ + 3 c₁ x²

The elementwise steps go over a few rows at a time, so that they stay in the cache and the working
space stays small.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from seemant.models.decoder.shape import Activation

_C0 = 2 * math.sqrt(2 / math.pi)
_C1 = 0.044715 * _C0
_AT_ONCE = 1 << 17  # elements of one step: half a megabyte of float32, inside the second cache


def gated(gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
    """Return act(gate) ⊙ up, all (N, ff)."""
    function = _GatedGelu if activation == "gelu_tanh" else _GatedSilu
    y: Tensor = function.apply(gate, up)  # type: ignore[no-untyped-call]
    return y


class _GatedSilu(torch.autograd.Function):
    """Saves gate and up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        g_up = F.silu(gate).mul_(g)
        return torch.ops.aten.silu_backward(g * up, gate), g_up


class _GatedGelu(torch.autograd.Function):
    """Saves gate and up."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        y = torch.empty_like(gate)
        for rows, (x_space, up_space, s_space) in _pieces(gate, 3):
            x, u = _float(gate[rows], x_space), _float(up[rows], up_space)
            a = _curve(x, 1, s_space[: len(x)]).mul_(x).sigmoid_().mul_(x)
            y[rows] = a.mul_(u)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        g_gate, g_up = torch.empty_like(gate), torch.empty_like(up)
        for rows, (x_space, up_space, g_space, s_space, a_space, slope_space) in _pieces(gate, 6):
            x, u = _float(gate[rows], x_space), _float(up[rows], up_space)
            gr, n = _float(g[rows], g_space), len(x)
            slope = _curve(x, 3, slope_space[:n])  # z'
            s = _curve(x, 1, s_space[:n]).mul_(x).sigmoid_()
            a = torch.mul(x, s, out=a_space[:n])
            g_up[rows] = torch.mul(gr, a, out=x_space[:n])
            a.addcmul_(a, s, value=-1)  # a (1 - s)
            g_gate[rows] = s.addcmul_(a, slope).mul_(u).mul_(gr)
        return g_gate, g_up


def _curve(x: Tensor, times: int, out: Tensor) -> Tensor:
    """Return c0 + times * c1 * x²."""
    return torch.addcmul(torch.tensor(_C0, device=x.device), x, x, value=times * _C1, out=out)


def _pieces(like: Tensor, n_spaces: int) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
    """Yield slices of the rows, each with the same float32 working buffers."""
    n_rows, width = like.shape
    step = min(max(1, _AT_ONCE // width), max(1, n_rows))
    spaces = tuple(
        torch.empty(step, width, dtype=torch.float32, device=like.device) for _ in range(n_spaces)
    )
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows)), spaces


def _float(x: Tensor, space: Tensor) -> Tensor:
    """Return x in float32, cast into the space: steps over two types take twice as long."""
    return x if x.dtype == torch.float32 else space[: len(x)].copy_(x)
