"""In which order GPTQ works on the columns, and when a group's grid is fitted.

    natural   as stored; a grid is fitted from the updated weights when its columns' turn comes
    act       the largest mean square of the input first; all grids are fitted beforehand
    groups    whole groups, the one with the largest column first, its columns by size: grids stay
              dynamic (GAR of GPTQModel)

A GGUF file has no column index, so only orders that leave every column in its own group are there.
What is fitted together (the format's block: a group, or a super-block) counts as one group.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.compress.methods.config import Order


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """columns: (C,) int64, the stored column that is worked on at each place.

    width: how many neighbouring stored columns are fitted together. static: all are fitted first.
    """

    columns: Tensor
    width: int
    static: bool

    def fitted_at(self, place: int) -> Tensor | None:
        """Return the places of the block whose grids are fitted here, in stored order; or None."""
        if self.static or place % self.width:
            return None
        return place + torch.argsort(self.columns[place : place + self.width])


def arrange(order: Order, diagonal: Tensor, width: int) -> Arrangement:
    """Return the arrangement of columns by the mean squares of the input, (C,)."""
    n = len(diagonal)
    if order == "natural":
        return Arrangement(torch.arange(n), width, static=False)
    if order == "act":
        return Arrangement(_descending(diagonal), width, static=True)
    by_group = diagonal.view(-1, width)
    inside = torch.argsort(by_group, dim=1, descending=True, stable=True)
    inside += torch.arange(0, n, width)[:, None]
    return Arrangement(inside[_descending(by_group.amax(1))].flatten(), width, static=False)


def _descending(x: Tensor) -> Tensor:
    return torch.argsort(x, descending=True, stable=True)
