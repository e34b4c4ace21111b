"""An output head, (V, d): a frozen matrix of any kind, or a float tensor, read by rows."""

from collections.abc import Iterator

import torch
from torch import Tensor

from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch

Head = FrozenMatrix | Tensor


def blocks(
    head: Head, block: int, dtype: torch.dtype, scratch: Scratch | None = None
) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    """Give (first row, Q, s) of `block` rows at a time: W = s Q, Q (B, d) and s (B,) of dtype.

    s is None where Q is W itself. A head held in dtype gives views of itself; another is brought
    into one buffer, the scratch's where one is given, so Q is valid until the next is asked for.
    """
    n_rows, width = head.shape
    block = min(block, n_rows)
    out = None
    if not _is_held_as(head, dtype):
        take = Scratch() if scratch is None else scratch
        out = take.take(block, width, dtype, head.device)
    for start in range(0, n_rows, block):
        stop = min(start + block, n_rows)
        place = None if out is None else out[: stop - start]
        if isinstance(head, FrozenMatrix):
            yield start, *head.factored(start, stop, dtype, place)
        else:
            rows = head.detach()[start:stop]
            yield start, rows if place is None else place.copy_(rows), None


def gather(head: Head, ids: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the rows of ids (N,), a fresh (N, d) of dtype."""
    if isinstance(head, FrozenMatrix):
        return head.gather(ids, dtype)
    return head.detach().index_select(0, ids).to(dtype)


def column_mean(head: Head, block: int) -> Tensor:
    """Return the mean of all rows, (d,) float32 or, of a float64 head, float64."""
    if isinstance(head, FrozenMatrix):
        return head.column_mean()
    wide = torch.float64 if head.dtype == torch.float64 else torch.float32
    total = torch.zeros(head.shape[1], dtype=torch.float64, device=head.device)
    for start in range(0, len(head), block):
        total += head.detach()[start : start + block].sum(0, dtype=wide)
    return (total / len(head)).to(wide)


def _is_held_as(head: Head, dtype: torch.dtype) -> bool:
    if isinstance(head, FrozenMatrix):
        return head.kind == str(dtype).removeprefix("torch.")
    return head.dtype == dtype
