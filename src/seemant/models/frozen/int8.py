"""int8: symmetric codes with one scale a row.

    s_i = max_j |W_ij| / 127        Q_ij = round(W_ij / s_i)        Ŵ_ij = s_i Q_ij

s is rounded *up* to a bfloat16 number before the codes are taken: in bfloat16 compute it is then
the same scale as in float32, the codes are exact (|Q| <= 127 needs 8 bits), and no weight is
cut. |W - Ŵ| <= s / 2. One byte a weight and two a row.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from seemant.models.frozen.matrix import FrozenMatrix

TOP = 127
_UP = 1 + 2**-8  # half a bfloat16 step or more: rounding what was raised by it never goes below


class Int8Matrix(FrozenMatrix):
    """Codes int8 (rows, columns), scales bfloat16 (rows,)."""

    codes: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, int], pieces: Iterable[Tensor]) -> None:
        super().__init__("int8", shape)
        codes = torch.empty(shape, dtype=torch.int8)
        scale = torch.empty(shape[0], dtype=torch.bfloat16)
        start = 0
        for piece in pieces:
            stop = start + len(piece)
            codes[start:stop], scale[start:stop] = quantised(piece)
            start = stop
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype."""
        return self.codes[ids].to(dtype).mul_(self.scale[ids].to(dtype).unsqueeze(1))

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        out.copy_(self.codes[start:stop])

    def _scale(self, start: int, stop: int, dtype: torch.dtype) -> Tensor:
        return self.scale[start:stop].to(dtype)


def quantised(w: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes int8 (rows, columns) and scales bfloat16 (rows,) of w (rows, columns) float32.

    A row of zeros has scale 0 and codes 0.
    """
    scale = row_scale(w.abs().amax(1), TOP)
    step = scale.float().unsqueeze(1)
    codes = torch.where(step > 0, w / step, 0)
    return codes.round_().clamp_(-TOP, TOP).to(torch.int8), scale


def row_scale(highest: Tensor, top: int) -> Tensor:
    """Return bfloat16 scales with `highest` <= top * scale: highest (rows,) float32, >= 0."""
    return (highest * (_UP / top)).to(torch.bfloat16)
