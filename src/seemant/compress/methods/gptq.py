"""GPTQ (Frantar et al., 2210.17323): round column by column, later columns take over the error.

It lowers tr(ΔW H ΔWᵀ), the squared error of the layer's output, H the mean of x xᵀ over the
calibration tokens: Babai's nearest plane on the lattice that H spans (2507.18553). Grids are those
of the file: fitted, with every rounding of their scales, on the updated weights at the moment when
their first column's turn comes (`gptq_orders`), then frozen.

    Σ_j e_j² = tr(ΔW (H + λI) ΔWᵀ)     gives the layer's error for nothing, and is tested
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.methods import rtn
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.gptq_factor import Factor, factor
from seemant.compress.methods.gptq_loop import Choose, feed_back
from seemant.compress.methods.gptq_orders import Arrangement, arrange
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.formats.grids import Params
from seemant.formats.tensor_format import (
    Format,
    Search,
    fit_format,
    fits,
    joined,
    snap_format,
    value_format,
)
from seemant.models.frozen.gemm import product

ROWS = 2048  # worked on together: a block of 128 columns of them is 1 MB


@dataclass(frozen=True, slots=True)
class GptqReport:
    """layer_error: tr(ΔW H ΔWᵀ), the mean squared output error a token, summed over outputs.

    rtn_error: the same of rounding to nearest on min-max grids. damp_used: the share of the mean
    diagonal that was added in the end. dead: columns whose input was always 0.
    """

    layer_error: float
    rtn_error: float
    damp_used: float
    dead: int


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """All that GPTQ needs of a Hessian, for any rows and any matrix that reads the same input."""

    hessian: Tensor
    arrangement: Arrangement
    factor: Factor


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the codes and grids of a matrix; `matrix.notes` gets the report.

    Raises:
        BadConfig: the format does not fit the row, or there is no Hessian.
        BadFile: a weight or a moment is not finite, or H is not positive definite.
    """
    fits(matrix.format, matrix.weight.shape[1], name=matrix.name)
    matrix.check_finite()
    if matrix.is_dead():  # no error to see, none to pass on
        matrix.notes.update(asdict(all_dead(matrix)))
        return rtn.run(matrix, config)
    prepared = prepare(
        matrix.the_hessian(), matrix.format, config, name=matrix.name, dtype=torch.float32
    )
    quantised, report = gptq(
        matrix.weight, prepared, matrix.format, search=matrix.search, block=config.block
    )
    matrix.notes.update(asdict(report))
    return quantised


def all_dead(matrix: Matrix) -> GptqReport:
    """Return the report of a matrix whose inputs were all 0: every column is counted."""
    return GptqReport(layer_error=0.0, rtn_error=0.0, damp_used=0.0, dead=matrix.weight.shape[1])


def prepare(
    hessian: Tensor,
    format: Format,
    config: MethodConfig,
    *,
    name: str = "",
    dtype: torch.dtype = torch.float64,
) -> Prepared:
    """Return the order of columns and the factor of H (C, C), the mean of x xᵀ.

    dtype: what the factor, made in float64, is rounded to; float32 for the usual loop saves space.

    Raises:
        BadFile: H is not finite, or not positive definite.
    """
    width = format.block or len(hessian)
    arrangement = arrange(config.order or "groups", hessian.diagonal().double(), width)
    made = factor(hessian, arrangement.columns, config.damp, name=name, dtype=dtype)
    return Prepared(hessian, arrangement, made)


def gptq(
    weight: NDArray[np.float32],
    prepared: Prepared,
    format: Format,
    *,
    search: Search = "minmax",
    block: int = 128,
    rows_at_once: int = ROWS,
    prune: tuple[int, Choose] | None = None,
    compute: torch.dtype = torch.float32,
) -> tuple[Quantised, GptqReport]:
    """Return the codes and grids of a matrix (R, C), and what became of its error.

    search "mse" weighs squared errors with diag H. block, prune: as `gptq_loop.feed_back`'s.
    rows_at_once: what one loop holds, and `prune` sees. compute: the loop's type.
    """
    hessian, arrangement, made = prepared.hessian, prepared.arrangement, prepared.factor
    importance = hessian.diagonal().float().numpy()
    lower = made.lower.to(compute)

    def fit(w: NDArray[np.float32], columns: Tensor) -> Params:
        weighed = importance[columns.numpy()] if search == "mse" else None
        return fit_format(w, format, search=search, importance=weighed)

    codes, params = [], []
    squares = moved = plain = 0.0
    wide_hessian = hessian.float().contiguous()
    for start in range(0, len(weight), rows_at_once):
        rows = weight[start : start + rows_at_once]
        w = torch.from_numpy(rows).T[arrangement.columns].to(compute).contiguous()
        w[made.dead] = 0
        done = feed_back(w, lower, arrangement, format, fit, block=block, prune=prune)
        shaped = np.ascontiguousarray(done.codes).reshape(len(rows), done.params.scale.shape[1], -1)
        codes.append(shaped)
        params.append(done.params)
        squares += float(done.errors[~made.dead].sum())
        change = torch.from_numpy(value_format(shaped, done.params) - rows)
        change[:, arrangement.columns[made.dead]] = 0
        moved += float(torch.linalg.vector_norm(change, dtype=torch.float64)) ** 2
        plain += _rtn_error(rows, format, wide_hessian)
    report = GptqReport(
        layer_error=max(0.0, squares - made.added * moved),
        rtn_error=plain,
        damp_used=made.damp,
        dead=int(made.dead.sum()),
    )
    one = len(codes) == 1
    whole = params[0] if one else joined(params, 0)
    return Quantised(codes[0] if one else np.concatenate(codes), whole), report


def layer_error(change: Tensor, hessian: Tensor) -> float:
    """Return tr(ΔW H ΔWᵀ) of a change of weights (R, C), both float32."""
    return float((product(change, hessian) * change).sum(dtype=torch.float64))


def _rtn_error(rows: NDArray[np.float32], format: Format, hessian: Tensor) -> float:
    params = fit_format(rows, format)
    nearest = value_format(snap_format(rows, params), params)
    return layer_error(torch.from_numpy(nearest - rows), hessian)
