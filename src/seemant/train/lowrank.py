"""The two products with a frozen matrix Ŵ and a trained low-rank one beside it, as functions.

LoRA (Hu et al., arXiv 2106.09685, section 4.1), d(x) being x with its dropout:

    y = x Ŵᵀ + s (d(x) Aᵀ) Bᵀ + b
    gB = s gᵀ (d(x) Aᵀ)     gA = s (g B)ᵀ d(x)     gx = g Ŵ + s d'((g B) A)

DoRA (Liu et al., arXiv 2402.09353, equations 5 and 11), V = Ŵ + s B A, v = row norms of V:

    u = x Ŵᵀ + s (d(x) Aᵀ) Bᵀ     y = u · m/v + b
    gm = Σ_t g_t u_t / v;  the rest as LoRA's with g · m/v in g's place: v counts as a constant
    v² = ‖Ŵ‖² + 2 s Σ_k B_k (Ŵ Aᵀ)_k + s² Σ_kl B_k B_l (A Aᵀ)_kl      by row: V is never formed

What is kept for the backward pass is x, d(x) Aᵀ, A, B (and m, v): Ŵ is rebuilt from its codes, the
dropout's mask from its seed. Both come out the same where a layer is computed a second time.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seemant.models.frozen.gemm import accumulate, product, product_by_rows
from seemant.models.frozen.linear import FrozenLinear

Drop = tuple[float, int]
"""Share that is dropped, and the seed of the mask."""


def lora(
    x: Tensor, a: Tensor, b: Tensor, base: FrozenLinear, scale: float, drop: Drop | None = None
) -> Tensor:
    """Return y (N, out) in x's dtype; x (N, in), a (r, in), b (out, r)."""
    y: Tensor = _Lora.apply(x, a, b, base, scale, drop)  # type: ignore[no-untyped-call]
    return y


def dora(
    x: Tensor,
    a: Tensor,
    b: Tensor,
    m: Tensor,
    squares: Tensor,
    base: FrozenLinear,
    scale: float,
    drop: Drop | None = None,
) -> Tensor:
    """Return y (N, out) in x's dtype; m (out,) magnitudes, squares (out,) ‖Ŵ‖² by row."""
    v = row_norms(a, b, squares, base, scale)
    y: Tensor = _Dora.apply(x, a, b, m, v, base, scale, drop)  # type: ignore[no-untyped-call]
    return y


@torch.no_grad()
def row_norms(a: Tensor, b: Tensor, squares: Tensor, base: FrozenLinear, scale: float) -> Tensor:
    """Return ‖Ŵ + s B A‖ by row, (out,) float32."""
    wa = base.matrix.times(a, base.scratch).T  # Ŵ Aᵀ, (out, r)
    cross = (b * wa).sum(1)
    own = ((b @ (a @ a.T)) * b).sum(1)
    return (squares + 2 * scale * cross + scale**2 * own).clamp_min_(0).sqrt_()


class _Lora(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        a: Tensor,
        b: Tensor,
        base: FrozenLinear,
        scale: float,
        drop: Drop | None,
    ) -> Tensor:
        xa = product(_dropped(x, drop), a.to(x.dtype))
        ctx.save_for_backward(x, xa, a, b)
        ctx.base, ctx.scale, ctx.drop = base, scale, drop
        y = _product(x, xa, b, base, scale)
        return y if base.bias is None else y.add_(base.bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, xa, a, b = ctx.saved_tensors
        return *_gradients(ctx, g, x, xa, a, b), None, None, None


class _Dora(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        a: Tensor,
        b: Tensor,
        m: Tensor,
        v: Tensor,
        base: FrozenLinear,
        scale: float,
        drop: Drop | None,
    ) -> Tensor:
        xa = product(_dropped(x, drop), a.to(x.dtype))
        ctx.save_for_backward(x, xa, a, b, m, v)
        ctx.base, ctx.scale, ctx.drop = base, scale, drop
        y = _product(x, xa, b, base, scale).mul_((m / v).to(x.dtype))
        return y if base.bias is None else y.add_(base.bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        x, xa, a, b, m, v = ctx.saved_tensors
        u = _product(x, xa, b, ctx.base, ctx.scale)  # again: it would be as large as y
        gm = u.mul_(g).sum(0).to(m.dtype) / v
        gx, ga, gb = _gradients(ctx, g * (m / v).to(g.dtype), x, xa, a, b)
        return gx, ga, gb, gm, None, None, None, None


def _product(x: Tensor, xa: Tensor, b: Tensor, base: FrozenLinear, scale: float) -> Tensor:
    y: Tensor = base.matrix.times(x, base.scratch)
    return accumulate(y, xa * scale, b.to(x.dtype).T)  # y + s (d(x) Aᵀ) Bᵀ


def _gradients(
    ctx: Any, g: Tensor, x: Tensor, xa: Tensor, a: Tensor, b: Tensor
) -> tuple[Tensor | None, Tensor, Tensor]:
    g_b = product_by_rows(g, b.to(g.dtype)).mul_(ctx.scale)  # s g B
    # gᵀ (x Aᵀ) by way of its transpose, and gBᵀ x: the thin side first is many times faster.
    grad_b = product(xa.T, g.T).T.mul(ctx.scale).to(b.dtype)
    grad_a = product(g_b.T, _dropped(x, ctx.drop).T).to(a.dtype)
    if not ctx.needs_input_grad[0]:
        return None, grad_a, grad_b
    grad_x: Tensor = ctx.base.matrix.times_transposed(g, ctx.base.scratch)
    if ctx.drop is None:
        return accumulate(grad_x, g_b, a.to(g.dtype)), grad_a, grad_b
    return grad_x.add_(_dropped(product(g_b, a.to(g.dtype).T), ctx.drop)), grad_a, grad_b


def _dropped(x: Tensor, drop: Drop | None) -> Tensor:
    """Return d(x): the same entries are dropped for the same shape and seed."""
    if drop is None:
        return x
    share, seed = drop
    generator = torch.Generator(x.device).manual_seed(seed)
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= share
    return x * kept / (1 - share)
