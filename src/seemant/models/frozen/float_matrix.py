"""The float kinds: Ŵ = W, rounded once to float32 or bfloat16."""

from collections.abc import Iterable

import torch
from torch import Tensor

from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch

FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FloatMatrix(FrozenMatrix):
    """A frozen float matrix; of its own dtype, `rows` gives its storage without a copy."""

    weight: Tensor

    def __init__(self, kind: str, shape: tuple[int, int], pieces: Iterable[Tensor]) -> None:
        super().__init__(kind, shape)
        weight = torch.empty(shape, dtype=FLOATS[kind])
        start = 0
        for piece in pieces:
            weight[start : start + len(piece)] = piece
            start += len(piece)
        self.register_buffer("weight", weight, persistent=False)

    def factored(
        self, start: int, stop: int, dtype: torch.dtype, out: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return W[start:stop]: own storage in the own dtype, else a cast (into `out`)."""
        if dtype == self.weight.dtype:
            return self.weight[start:stop], None
        return super().factored(start, stop, dtype, out)

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype."""
        return self.weight[ids].to(dtype)

    def _factors(self, beside: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor | None]:
        if beside.dtype == self.weight.dtype:  # the scratch need not grow
            return self.weight, None
        return super()._factors(beside, scratch)

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        out.copy_(self.weight[start:stop])
