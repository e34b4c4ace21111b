"""Half-quadratic grids (HQQ): a scale's offset that forgives outliers, without any data.

    min over z of sum |w - w_hat|^p,  p < 1

is split with an auxiliary e for the error and solved by turns, beta growing (Badri & Shaji,
"Half-Quadratic Quantization of Large Machine Learning Models", 2023):

    e <- shrink(w - w_hat) = sign(x) max(0, |x| - |x|^(p-1) / beta)
    m <- mean(w - e - d q)                          asymmetric; d stays the min-max scale
    d <- sum q (w - e) / sum q^2                    symmetric, which has no m

Differs from the paper's code: errors are measured in steps of the grid, so that the result does not
depend on the unit of the weights; every group keeps its own best turn, the min-max grid included,
where the code keeps one turn for the whole matrix; the values compared are fp16 ones, as stored.
"""

import numpy as np

from seemant.formats.grid_search import part_of, slices, take
from seemant.formats.grids import Grid, Params, Weights, fit, half, snap, value

P = 0.7
BETA, GROWTH, TURNS = 10.0, 1.01, 20  # of the paper's code


def fit_hqq(w: Weights, grid: Grid, *, turns: int = TURNS) -> Params:
    """Return for every group of w (rows, groups, group) the best grid of the alternation.

    Raises:
        BadFile: a scale is too large for fp16.
    """
    out = fit(w, grid)
    for at, _, _ in slices(w, None):
        _alternate(w[at], part_of(out, at), turns)
    return out


def p_error(w: Weights, params: Params) -> Weights:
    """Return sum |w - w_hat|^p of every group, (rows, groups, 1)."""
    off = np.abs(w - value(snap(w, params), params))
    sums: Weights = np.power(off, P, out=off).sum(-1, keepdims=True)
    return sums


def _alternate(w: Weights, best: Params, turns: int) -> None:
    """Improve `best` in place, group by group."""
    params = Params(
        best.grid, best.scale.copy(), _copy(best.offset), best.inverse.copy(), _copy(best.start)
    )
    unit = np.where(params.scale != 0, np.abs(params.scale), 1)  # of errors, whatever d becomes
    best_error = p_error(w, best)
    beta = BETA
    for _ in range(turns):
        integers = snap(w, params)
        codes = integers.astype(np.float32)
        x = (w - value(integers, params)) / unit
        size = np.abs(x)
        with np.errstate(divide="ignore"):
            shrunk = np.maximum(size - np.power(size, P - 1) / np.float32(beta), 0)
        goal = w - np.copysign(shrunk, x) * unit
        params = _next(goal, codes, params)
        error = p_error(w, params)
        with np.errstate(invalid="ignore"):
            better = error < best_error
        np.copyto(best_error, error, where=better)
        take(best, params, better)
        beta *= GROWTH


def _next(goal: Weights, codes: Weights, params: Params) -> Params:
    if params.offset is None:
        size = np.square(codes).sum(-1, keepdims=True)
        along = (goal * codes).sum(-1, keepdims=True)
        d = np.divide(along, size, out=np.zeros_like(along), where=size > 0)
        return Params.rounded(params.grid, half(d), None)
    m = (goal - params.scale * codes).mean(-1, keepdims=True)
    return Params.rounded(params.grid, params.scale, half(m))


def _copy(array: Weights | None) -> Weights | None:
    return None if array is None else array.copy()
