"""A linear layer on a file's grid: y = x Ŵᵀ + b, trained through its rounding.

    d = fp16(d0 (1 + s))        m = fp16(m0 + |d0| o)

s and o are relative, so that one learning rate serves all matrices; they start at 0, at the given
codes' own scales. Without a latent the codes are constants, and only scales are learned. With one
the codes follow it (`lsq.py`), but for those that are held. Ŵ is rebuilt in forward and backward:
a layer keeps its input, and never Ŵ or its gradient.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seemant.compress.qat.grid_matrix import Codes
from seemant.compress.qat.latent import Latent
from seemant.compress.qat.lsq import codes_of, gradients_, half, pieces, step_factor, value
from seemant.models.frozen.gemm import product


class QatLinear(nn.Module):
    """One matrix (out, in) on its grid.

    scale, offset: s and o, (R, G, 1), trained; offset is None where the grid is symmetric.
    latent: the weights behind the codes, or None: the codes stay as given.
    fixed: (R, G, g) uint8, code - lowest, where `held` says so (without a latent: everywhere).
    """

    fixed: Tensor
    held: Tensor | None
    d0: Tensor
    m0: Tensor | None
    bias: Tensor | None

    def __init__(
        self, codes: Codes, *, latent: Latent | None = None, bias: Tensor | None = None
    ) -> None:
        super().__init__()
        self.grid, self.latent = codes.grid, latent
        rows, groups, group = codes.n.shape
        self.out_features, self.in_features = rows, groups * group
        self.factor = step_factor(codes.grid, group)
        self.register_buffer("fixed", codes.n, persistent=False)
        self.register_buffer("held", None, persistent=False)
        self.register_buffer("d0", codes.d, persistent=False)
        self.register_buffer("m0", codes.m, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.scale = nn.Parameter(torch.zeros_like(codes.d))
        self.offset = None if codes.m is None else nn.Parameter(torch.zeros_like(codes.m))

    def forward(self, x: Tensor) -> Tensor:
        """Return x Ŵᵀ + b: x (N, in) -> (N, out), in x's type."""
        behind = () if self.latent is None else self.latent.trained()
        y: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            x, self, self.scale, self.offset, *behind
        )
        return y if self.bias is None else y + self.bias.to(y.dtype)

    @torch.no_grad()
    def codes(self) -> Codes:
        """Return what would be packed now."""
        d, m = self.steps()
        if self.latent is None:
            return Codes(self.grid, self.fixed, d, m)
        n = torch.empty_like(self.fixed)
        for rows, q in codes_of(self._weights(), d, m, self.grid, self.held, self.fixed):
            n[rows] = q.sub_(self.grid.lowest).to(torch.uint8)
        return Codes(self.grid, n, d, m)

    @torch.no_grad()
    def rounded(self) -> Tensor:
        """Return Ŵ, (out, in) float32: the values of `codes`."""
        d, m = self.steps()
        out = torch.empty(self.fixed.shape)
        if self.latent is None:
            for rows in pieces(self.fixed):
                q = self.fixed[rows].float().add_(self.grid.lowest)
                out[rows] = value(q, d[rows], None if m is None else m[rows])
        else:
            for rows, q in codes_of(self._weights(), d, m, self.grid, self.held, self.fixed):
                out[rows] = value(q, d[rows], None if m is None else m[rows])
        return out.flatten(1)

    def steps(self) -> tuple[Tensor, Tensor | None]:
        """Return d and m as the file stores them, (R, G, 1), detached."""
        d = half(self.d0 * (1 + self.scale.detach()))
        if self.m0 is None or self.offset is None:
            return d, None
        return d, half(self.m0 + self.d0.abs() * self.offset.detach())

    @torch.no_grad()
    def hold(self, which: Tensor) -> None:
        """Freeze codes at their present value: which (R, G, g) bool. Held ones stay held."""
        which = which if self.held is None else which | self.held
        self.fixed, self.held = self.codes().n, which

    def gradients(self, g: Tensor) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...]]:
        """Return the gradients of s, o and the latent's own, from g = ∂/∂Ŵ (out, in), used up."""
        d, m = self.steps()
        grouped = g.view(self.fixed.shape)
        behind: tuple[Tensor, ...] = ()
        if self.latent is None:
            of_d, of_m = self._of_constants(grouped, d, m)
        else:
            of_d, of_m = gradients_(
                grouped, self._weights(), d, m, self.grid, self.held, self.fixed
            )
            behind = self.latent.gradients(g)
        of_s = of_d.mul_(self.d0).mul_(self.factor)
        return of_s, None if of_m is None else of_m.mul_(self.d0.abs()).mul_(self.factor), behind

    def _weights(self) -> Tensor:
        assert self.latent is not None
        return self.latent.value().view(self.fixed.shape)

    def _of_constants(self, g: Tensor, d: Tensor, m: Tensor | None) -> tuple[Tensor, Tensor | None]:
        of_d = torch.empty_like(d)
        for rows in pieces(self.fixed):
            q = self.fixed[rows].float().add_(self.grid.lowest)
            of_d[rows] = q.mul_(g[rows]).sum(-1, keepdim=True)
        return of_d, None if m is None else g.sum(-1, keepdim=True)


class _Product(torch.autograd.Function):
    """y = x Ŵᵀ; ∂x = g Ŵ, ∂Ŵ = gᵀ x, passed through the rounding. Saves x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: QatLinear, *trained: Tensor | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer, ctx.n = layer, len(trained)
        return product(x, layer.rounded().to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        layer: QatLinear = ctx.layer
        gx = None
        if ctx.needs_input_grad[0]:
            gx = product(g, layer.rounded().to(g.dtype).T)
        of_s, of_o, behind = layer.gradients(product(g.T, x.T).float())
        return gx, None, of_s, of_o, *behind
