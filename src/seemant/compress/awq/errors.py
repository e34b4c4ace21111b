"""Rounded values, and the error that they make in a linear layer's output."""

import numpy as np
import torch
from torch import Tensor

from seemant.formats.tensor_format import Format, Search, fit_format, snap_format, value_format
from seemant.models.frozen.gemm import product

_SLICE_WEIGHTS = 1 << 18  # 1 MB of float32


def rounded(
    w: Tensor, format: Format, *, search: Search = "minmax", importance: Tensor | None = None
) -> Tensor:
    """Return the nearest values of a matrix (R, C) float32 in a format: what the file will hold.

    importance: (C,), what a squared error counts in a search of the grid.

    Raises:
        FormatImpossible: the rows are no whole number of blocks.
        BadFile: a weight is not finite, or too large for an fp16 scale.
    """
    values = w.contiguous().numpy()
    weight = None if importance is None else importance.numpy()
    # A min-max grid knows its own group alone: rows by rows, what is between stays in the cache.
    by_rows = search == "minmax" and not format.is_k and values.size > _SLICE_WEIGHTS
    step = max(1, _SLICE_WEIGHTS // values.shape[1]) if by_rows else max(1, len(values))
    out = np.empty_like(values)
    for start in range(0, len(values), step):
        piece = values[start : start + step]
        params = fit_format(piece, format, search=search, importance=weight)
        out[start : start + step] = value_format(snap_format(piece, params), params)
    return torch.from_numpy(out)


def row_errors(dw: Tensor, hessian: Tensor) -> Tensor:
    """Return dw H dwᵀ of each row, (R,): the mean of (dw x)² over the calibration tokens.

    dw: (R, C) float32. hessian: (C, C), the mean of x xᵀ.
    """
    return product(dw, hessian).mul_(dw).sum(1)


def layer_error(dw: Tensor, hessian: Tensor) -> float:
    """Return tr(dW H dWᵀ): the mean of ‖dW x‖² over the calibration tokens."""
    return float(row_errors(dw, hessian).double().sum())
