"""Clipping before rounding: a smaller range, finer steps (Lin et al., 2306.00978, their code).

    t* = argmin_t  e H_b eᵀ,   e = w − Q(clip(w, ±t · max|w|)),   t = 1 − ½ i/20,   i = 0 … 20

by row and block b of columns that are fitted together, H_b the block of H on its diagonal. t = 1
is no clipping, so the sum over blocks never grows. Q and k are left alone: their errors go through
a softmax (and a norm), of which a linear layer's error says little.

Differs from the paper: H in place of the tokens, and a row whose *whole* error e H eᵀ, with the
terms between blocks, would grow keeps its weights.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.compress.awq.errors import rounded, row_errors
from seemant.formats.tensor_format import Format, Search

NEVER = ("attn_q", "attn_k")


@dataclass(frozen=True, slots=True)
class ClipReport:
    """The mean of ‖(W − Q)x‖² with clipping and without, and the share of weights that were cut."""

    error: float
    unclipped_error: float
    share: float


def clipped(
    w: Tensor,
    hessian: Tensor,
    format: Format,
    *,
    search: Search = "minmax",
    weighed: bool = True,
    max_shrink: float = 0.5,
    steps: int = 20,
) -> tuple[Tensor, ClipReport]:
    """Return the clipped matrix (R, C) whose rounding errs least.

    w: (R, C) float32. hessian: (C, C), the mean of x xᵀ of what the layer reads.
    search, weighed: how grids are found; see `AwqConfig`.
    """
    rows, columns = w.shape
    unit = format.block or columns
    groups = w.reshape(rows, columns // unit, unit // (format.grid.group or unit), -1)
    largest = groups.abs().amax(-1, keepdim=True)
    blocks = torch.stack([hessian[i : i + unit, i : i + unit] for i in range(0, columns, unit)])
    importance = hessian.diagonal().contiguous() if weighed else None

    def shrunk(t: Tensor) -> Tensor:  # t (R, blocks) or (1, 1)
        bound = largest * t[..., None, None]
        out = torch.maximum(groups, -bound)
        return torch.minimum(out, bound, out=out).reshape(rows, columns)

    plain = w - rounded(w, format, search=search, importance=importance)
    best_error = _by_block(plain, blocks)
    best = torch.ones(rows, columns // unit)
    for i in range(1, steps + 1):
        t = 1 - max_shrink * i / steps
        values = rounded(
            shrunk(torch.full((1, 1), t)), format, search=search, importance=importance
        )
        error = _by_block(torch.sub(w, values, out=values), blocks)
        better = error < best_error
        best = torch.where(better, t, best)
        best_error = torch.where(better, error, best_error)

    out = shrunk(best)
    values = rounded(out, format, search=search, importance=importance)
    with_it = row_errors(torch.sub(w, values, out=values), hessian)
    without = row_errors(plain, hessian)
    worse = with_it >= without
    out = torch.where(worse[:, None], w, out)
    report = ClipReport(
        float(torch.minimum(with_it, without).double().sum()),
        float(without.double().sum()),
        float((out != w).double().mean()),
    )
    return out, report


def _by_block(dw: Tensor, blocks: Tensor) -> Tensor:
    """Return e H_b eᵀ (R, blocks) of dw (R, C), blocks (blocks, unit, unit)."""
    by_block = dw.view(len(dw), len(blocks), -1).transpose(0, 1)
    return torch.bmm(by_block, blocks).mul_(by_block).sum(-1).T
