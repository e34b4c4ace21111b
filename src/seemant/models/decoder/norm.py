"""RMS normalisation whose backward keeps the input and one number a row.

    y = x · r ⊙ w,   r = (mean(x²) + ε)^-½                     (Zhang and Sennrich, 1910.07467)
    ∂x = r · (h − x · r² · mean(h ⊙ x)),   h = g ⊙ w           ∂w = Σ_rows g ⊙ x · r

Gemma stores w − 1; `RmsNorm.shift` adds it back. Everything is computed in float32 and rounded
once, to the type of x.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RmsNorm(nn.Module):
    """A norm over the last axis, frozen (its weight a buffer) or trained (a parameter).

    weight: (width,) float32, as transformers stores it; frozen ones hold weight + shift instead.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, eps: float, *, shift: float, trained: bool) -> None:
        super().__init__()
        self.eps = eps
        self.shift = shift if trained else 0.0
        if trained:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight + shift if shift else weight, persistent=False)

    def scale(self) -> Tensor:
        """Return w, what the normalised rows are multiplied by."""
        return self.weight + self.shift if self.shift else self.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised x (N, width), in x's type."""
        y: Tensor = _Norm.apply(x, self.scale(), self.eps, None)  # type: ignore[no-untyped-call]
        return y

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """Return residual + norm(x), both (N, width), in one pass."""
        y: Tensor = _Norm.apply(x, self.scale(), self.eps, residual)  # type: ignore[no-untyped-call]
        return y


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """Return r (..., 1) of x (..., width) float32."""
    r: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return r.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


def norm_gradient(h: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """Return ∂x in h's storage: h = g ⊙ w and x (..., width) float32, h to be overwritten."""
    mean = (h * x).sum(-1, keepdim=True).mul_(r.pow(3)).div_(x.shape[-1])
    return h.mul_(r).addcmul_(x, mean, value=-1)


class _Norm(torch.autograd.Function):
    """Saves x and r (rows x 1, float32).

    bfloat16 is cast first: elementwise steps over two types at once take twice as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, eps: float, residual: Tensor | None) -> Tensor:
        wide = x.float()
        r = inverse_rms(wide, eps)
        ctx.save_for_backward(x, w, r)
        y = wide * r
        if residual is None:
            return y.mul_(w).to(x.dtype)
        return torch.addcmul(residual.float(), y, w).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None, None, Tensor | None]:
        x, w, r = ctx.saved_tensors
        wide, g_wide = x.float(), g.float()
        gx = gw = None
        if ctx.needs_input_grad[0]:
            gx = norm_gradient(g_wide * w, wide, r).to(x.dtype)
        if ctx.needs_input_grad[1]:
            gw = (g_wide * wide).mul_(r).sum(0)
        return gx, gw, None, g if ctx.needs_input_grad[3] else None
