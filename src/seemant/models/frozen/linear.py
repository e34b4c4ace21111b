"""A frozen linear layer: y = x Ŵᵀ + b, with Ŵ rebuilt in a scratch in forward and backward."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seemant.models.frozen.matrix import FixedTypes, FrozenMatrix
from seemant.models.frozen.scratch import Scratch


class FrozenLinear(FixedTypes):
    """y = x Ŵᵀ + b over a frozen matrix; nothing here is trained, gradients flow to x only.

    bias: (out,) float32 or None; it is added in x's dtype. scratch: shared by a model's layers.
    """

    bias: Tensor | None

    def __init__(
        self, matrix: FrozenMatrix, bias: Tensor | None = None, scratch: Scratch | None = None
    ) -> None:
        super().__init__()
        self.matrix = matrix
        self.scratch = Scratch() if scratch is None else scratch
        self.out_features, self.in_features = matrix.shape
        self.register_buffer("bias", bias, persistent=False)

    def weight(self, dtype: torch.dtype) -> Tensor:
        """Return Ŵ (out, in) for use at once: in the scratch, or a float matrix's own storage."""
        out = self.scratch.take(*self.matrix.shape, dtype, self.matrix.device)
        return self.matrix.dequantised(dtype, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return x Ŵᵀ + b: x (N, in) -> (N, out), in x's dtype."""
        y: Tensor = _Product.apply(x, self.matrix, self.scratch)  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Product(torch.autograd.Function):
    """y = x Ŵᵀ, gx = g Ŵ. It keeps the matrix's codes by reference, and no tensor at all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: FrozenMatrix, scratch: Scratch) -> Tensor:
        ctx.matrix, ctx.scratch = matrix, scratch
        return matrix.times(x, scratch)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return ctx.matrix.times_transposed(g, ctx.scratch), None, None
