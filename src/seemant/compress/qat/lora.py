"""LoRA-QAT: a low-rank change inside the rounding, for models that do not fit a full backward.

    w = w0 + (a s / r) B A        ŵ = the grid's value of w             s: the matrix's mean |d|

(low-rank QAT, Bondarenko et al., 2406.06385, equation 5.) Unlike an adapter beside a quantised
matrix, B A disappears in the codes: the file is that of full QAT. w0 takes no gradient and no
moments, and may be held in bfloat16; trained are r (R + C) numbers, the steps and the norms. What
a backward makes of (R, C) is one matrix at a time.
"""

import math

import torch
from torch import Tensor, nn

from seemant.core.seeds import derive_seed
from seemant.models.frozen.gemm import product


class LoraLatent(nn.Module):
    """w0 (R, C), frozen, in float32 or bfloat16, and B A: `a` (r, C), `b` (R, r) float32.

    unit: a s / r, what B A is multiplied by; a step of B A's size is then alike in all matrices.
    """

    start: Tensor

    def __init__(self, start: Tensor, rank: int, unit: float, *, seed: int, name: str) -> None:
        super().__init__()
        rows, columns = start.shape
        self.unit = unit
        self.register_buffer("start", start, persistent=False)
        generator = torch.Generator().manual_seed(derive_seed(seed, "qat-lora", name))
        bound = 1 / math.sqrt(columns)  # PEFT's start: A uniform, B zero
        a = torch.rand(rank, columns, generator=generator) * (2 * bound) - bound
        self.a = nn.Parameter(a)
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def value(self) -> Tensor:
        """Return w, a fresh (R, C) float32."""
        return product(self.b.detach(), self.a.detach().T).mul_(self.unit).add_(self.start)

    def trained(self) -> tuple[nn.Parameter, ...]:
        """Return A and B."""
        return self.a, self.b

    def gradients(self, g: Tensor) -> tuple[Tensor, ...]:
        """Return ∂/∂A = s Bᵀ g and ∂/∂B = s g Aᵀ."""
        a, b = self.a.detach(), self.b.detach()
        return product(b.T, g.T).mul_(self.unit), product(g, a).mul_(self.unit)
