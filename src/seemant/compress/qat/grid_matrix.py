"""A frozen matrix held as the codes of a file's grid: the embedding and head of a QAT student.

Its values are the file's, bit for bit in float32; a block of rows is made where it is read.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seemant.compress.methods.quantised import Quantised
from seemant.compress.qat.lsq import value
from seemant.formats.grids import Grid, Params
from seemant.models.frozen.matrix import FrozenMatrix


class Codes(NamedTuple):
    """One matrix on its grid, in torch.

    n: (R, G, g) uint8, code - lowest. d, m: (R, G, 1) float32 holding fp16 values; m None where
    the grid is symmetric.
    """

    grid: Grid
    n: Tensor
    d: Tensor
    m: Tensor | None

    @classmethod
    def of(cls, given: Quantised) -> "Codes":
        """Return a method's result in torch."""
        grid, params = given.params.grid, given.params
        n = (given.codes.astype(np.int16) - grid.lowest).astype(np.uint8)
        offset = None if params.offset is None else torch.from_numpy(params.offset.copy())
        return cls(grid, torch.from_numpy(n), torch.from_numpy(params.scale.copy()), offset)

    def quantised(self) -> Quantised:
        """Return it as methods and packers take it."""
        codes = self.n.numpy().astype(np.int16) + np.int16(self.grid.lowest)
        offset = None if self.m is None else self.m.numpy()
        return Quantised(codes, Params.rounded(self.grid, self.d.numpy(), offset))

    def rows(self, index: Tensor | slice) -> "Codes":
        """Return some rows, or all in another order."""
        return Codes(
            self.grid, self.n[index], self.d[index], None if self.m is None else self.m[index]
        )

    def values(self) -> Tensor:
        """Return ŵ, float32 (R, C)."""
        q = self.n.float().add_(self.grid.lowest)
        return value(q, self.d, self.m).flatten(1)


class GridMatrix(FrozenMatrix):
    """Codes as a frozen matrix (rows, columns); nothing of it is trained."""

    def __init__(self, codes: Codes) -> None:
        rows, groups, group = codes.n.shape
        super().__init__("grid", (rows, groups * group))
        self.grid = codes.grid
        self.register_buffer("n", codes.n, persistent=False)
        self.register_buffer("d", codes.d, persistent=False)
        self.register_buffer("m", codes.m, persistent=False)

    @property
    def codes(self) -> Codes:
        """What it holds."""
        held = self._buffers
        n, d = held["n"], held["d"]
        assert n is not None and d is not None
        return Codes(self.grid, n, d, held["m"])

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype."""
        return self.codes.rows(ids).values().to(dtype)

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        out.copy_(self.codes.rows(slice(start, stop)).values())
