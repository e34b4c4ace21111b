"""What lies behind the codes: a matrix of real weights that is trained, whole or by low rank.

A latent begins inside the cells of the given codes, off their middles towards the reference's
weights. So rounding it gives the codes back, whoever found them (GPTQ's are not the nearest ones),
and the reference still says which way a weight leans.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from seemant.compress.qat.grid_matrix import Codes


class Latent(Protocol):
    """Real weights (R, C) and how a gradient reaches what is trained of them."""

    def value(self) -> Tensor:
        """Return w, (R, C) float32; callers do not write to it."""

    def trained(self) -> tuple[nn.Parameter, ...]:
        """Return what is trained."""

    def gradients(self, g: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of `trained`, from g = ∂/∂w (R, C), which may be kept."""


class FullLatent(nn.Module):
    """Every weight is trained."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start)

    def value(self) -> Tensor:
        """Return w itself."""
        return self.weight.detach()

    def trained(self) -> tuple[nn.Parameter, ...]:
        """Return w."""
        return (self.weight,)

    def gradients(self, g: Tensor) -> tuple[Tensor, ...]:
        """Return g."""
        return (g,)


def inside_cells(w: Tensor, codes: Codes, slack: float) -> Tensor:
    """Return ŵ + r tanh((w - ŵ) / r') with r = slack |d|/2, r' = |d|/2; (R, C) float32 like w.

    0 <= slack < 1. Clipping in place of tanh would put every weight that error feedback moved at
    one distance from its border, and a few steps would flip them all at once.
    """
    centre = codes.values().view_as(codes.n)
    cell = codes.d.abs() / 2
    lean = ((w.view_as(codes.n) - centre) / cell.clamp(min=torch.finfo(cell.dtype).tiny)).tanh_()
    return centre.add_(lean.mul_(cell * slack)).flatten(1)
