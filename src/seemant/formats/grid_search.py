"""Grids of least squared error: a search over scales, each followed by least squares.

For every group, candidates d = r d0 are tried; d0 is the min-max scale. Symmetric grids: r runs
over [0.55, 1.15] with both signs, as the code range is lopsided. Asymmetric grids: r runs over
[0.7, 1.1], and by turns the least weight, the middle or the greatest weight stays on its code; that
variety is worth more than a finer r. A candidate gives codes q. For fixed codes the best grid is
that of the normal equations; omega is what an error counts:

    symmetric     d = sum omega q w / sum omega q^2
    asymmetric    [sum omega q^2  sum omega q] [d]   [sum omega q w]
                  [sum omega q    sum omega  ] [m] = [sum omega w  ]

What it explains, d sum omega q w (+ m sum omega w), ranks the candidates without another pass. The
best grid gives codes and least squares once more, is rounded to fp16, and codes are taken anew. A
group keeps it only where its error is smaller than the min-max grid's.

Differs from an exact search: breakpoints between candidates are not visited. llama.cpp searches in
the same spirit (`make_qx_quants`, `make_qkx3_quants`), with one sign and the least weight fixed.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Grid, Params, Weights, fit, half, snap, value

Array = NDArray[np.floating]

RANGE, AFFINE_RANGE = (0.55, 1.15), (0.7, 1.1)
_AT_ONCE = 1 << 16  # weights: a slice and its temporaries stay in the second cache
_FINE = 7  # from so many bits on, float32 sums are too coarse to rank candidates


def fit_mse(
    w: Weights, grid: Grid, weight: Weights | None = None, *, steps: int | None = None
) -> Params:
    """Return for every group of w (rows, groups, group) the grid of least weighted squared error.

    weight: omega, (1 or rows, groups, group), not negative; None: all 1.
    steps: candidates, per sign if symmetric; None: `steps_for` the grid.

    Raises:
        BadFile: a scale is too large for fp16.
    """
    out = fit(w, grid)
    for at, x, omega in slices(w, weight):
        rows, best = w[at], part_of(out, at)
        counts = weight if weight is None or len(weight) == 1 else weight[at]
        scale, offset = _searched(x, omega, grid, steps or steps_for(grid))
        shape = best.scale.shape
        other = Params.rounded(
            grid, scale.reshape(shape), None if offset is None else offset.reshape(shape)
        )
        with np.errstate(invalid="ignore", over="ignore"):  # scales beyond fp16 are never better
            better = error_of(rows, other, counts) < error_of(rows, best, counts)
        take(best, other, better)
    return out


def steps_for(grid: Grid) -> int:
    """Return how many candidates are tried: twice as many take less than 1.5 % off the squared
    error at 3 and 4 bits (Gaussian weights), 4 % at 5 bits.
    """
    return 16 if grid.symmetric and grid.bits <= 4 else 32


def part_of(params: Params, rows: slice) -> Params:
    """Return the grids of some rows; their arrays are views."""
    offset = None if params.offset is None else params.offset[rows]
    start = None if params.start is None else params.start[rows]
    return Params(params.grid, params.scale[rows], offset, params.inverse[rows], start)


def take(into: Params, other: Params, where: NDArray[np.bool_]) -> None:
    """Put the grids of `other` into the arrays of `into`, for the groups that `where` says."""
    for name in ("scale", "offset", "inverse", "start"):
        mine, theirs = getattr(into, name), getattr(other, name)
        if mine is not None:
            np.copyto(mine, theirs, where=where)


def error_of(w: Weights, params: Params, weight: Weights | None) -> Weights:
    """Return the weighted squared error of every group, (rows, groups, 1)."""
    off = value(snap(w, params), params)
    off -= w
    np.square(off, out=off)
    if weight is not None:
        off *= weight
    sums: Weights = off.sum(-1, keepdims=True)
    return sums


def slices(
    w: Weights, weight: Weights | None
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32] | None]]:
    """Yield (rows, x, omega): some rows' groups as columns, (group, n), in the memory's order."""
    rows, groups, width = w.shape
    step = max(1, _AT_ONCE // (groups * width))
    for start in range(0, rows, step):
        at = slice(start, min(start + step, rows))
        omega = None
        if weight is not None:
            part = weight if len(weight) == 1 else weight[at]
            omega = np.broadcast_to(part, w[at].shape).reshape(-1, width)
            omega = np.ascontiguousarray(omega.T)
        yield at, np.ascontiguousarray(w[at].reshape(-1, width).T), omega


def best_scale(x: Array, omega: Array | None, grid: Grid, steps: int) -> Array:
    """Return d of every column of x (group, n): the least squares scale of its best candidate."""
    largest = np.abs(x).max(0)
    start = largest / (127 if grid.bits == 8 else -grid.lowest)
    low, high = x.dtype.type(grid.lowest), x.dtype.type(grid.highest)
    weighted = x if omega is None else x * omega
    best, scale = np.zeros_like(start), np.zeros_like(start)
    q, t = np.empty_like(x), np.empty_like(x)
    signs = (1,) if grid.bits == 8 else (1, -1)

    def consider(candidate: Array) -> None:
        np.multiply(x, _inverse(candidate), out=q)
        np.clip(np.rint(q, out=q), low, high, out=q)
        along = dot(q, weighted)
        size = dot(q, q if omega is None else np.multiply(q, omega, out=t))
        d = _divide(along, size)
        _keep(along * d, best, (scale, d))

    for ratio in np.linspace(*RANGE, steps):
        for sign in signs:
            consider(start * x.dtype.type(sign * ratio))
    consider(scale.copy())
    found: Array = scale
    return found


def best_affine(
    x: Array, omega: Array | None, grid: Grid, steps: int, *, below_zero: bool = False
) -> tuple[Array, Array]:
    """Return d and m of every column of x (group, n), by least squares of the best candidate.

    below_zero: m <= 0, as the k-quants store it.
    """
    kind = x.dtype.type
    lows, highs = x.min(0), x.max(0)
    if below_zero:
        lows = np.minimum(lows, 0)
        highs = np.maximum(highs, lows)
    middle = np.zeros_like(lows) if below_zero else (lows + highs) / 2
    span, first, x = highs - lows, lows - middle, x - middle
    top = kind(grid.highest)
    weighted = x if omega is None else x * omega
    total = kind(len(x)) if omega is None else omega.sum(0)
    sum_x = weighted.sum(0)
    best = np.full_like(lows, -np.inf)
    scale, offset = np.zeros_like(lows), np.zeros_like(lows)
    q, t = np.empty_like(x), np.empty_like(x)

    def consider(d: Array, m: Array) -> None:
        inverse = _inverse(d)
        np.add(np.multiply(x, inverse, out=q), -m * inverse, out=q)
        np.clip(np.rint(q, out=q), 0, top, out=q)
        along = dot(q, weighted)
        oq = q if omega is None else np.multiply(q, omega, out=t)
        sum_q, size = oq.sum(0), dot(oq, q)
        d, m = normal(total, sum_q, size, sum_x, along)
        if below_zero:
            above = m > 0
            d, m = np.where(above, _divide(along, size), d), np.where(above, 0, m)
        # what is explained, in full: m = 0 may be no stationary point
        gain = 2 * (d * along + m * sum_x) - d * d * size - 2 * d * m * sum_q - m * m * total
        _keep(gain, best, (scale, d), (offset, m))

    for at, ratio in enumerate(np.linspace(*AFFINE_RANGE, steps)):
        # the point that stays where it is while the range shrinks: its least, middle or greatest
        fixed = kind(at % 3 / 2)
        consider(span * kind(ratio / grid.highest), first + fixed * span * kind(1 - ratio))
    consider(scale.copy(), offset.copy())
    return scale, offset + middle


def normal(
    total: "Array | np.floating", sum_q: Array, size: Array, sum_x: Array, along: Array
) -> tuple[Array, Array]:
    """Return the least squares d and m; where all codes are one, d = 0 and m the mean."""
    det = total * size - sum_q * sum_q
    flat = det <= 1e-6 * total * size
    d = np.where(flat, 0, _divide(total * along - sum_q * sum_x, np.where(flat, 1, det)))
    return d, _divide(sum_x - d * sum_q, np.broadcast_to(np.asarray(total), d.shape))


def dot(a: Array, b: Array) -> Array:
    """Return the sums over the first axis of a * b."""
    sums: Array = np.einsum("ij,ij->j", a, b)
    return sums


def _searched(
    x: NDArray[np.float32], omega: NDArray[np.float32] | None, grid: Grid, steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    if grid.bits >= _FINE:
        fine = x.astype(np.float64), None if omega is None else omega.astype(np.float64)
        return _rounded(*fine, grid, steps)
    return _rounded(x, omega, grid, steps)


def _rounded(
    x: Array, omega: Array | None, grid: Grid, steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    if grid.symmetric:
        return half(best_scale(x, omega, grid, steps)), None
    d, m = best_affine(x, omega, grid, steps)
    return half(d), half(m)


def _keep(gain: Array, best: Array, *pairs: tuple[Array, Array]) -> None:
    better = gain > best
    np.copyto(best, gain, where=better)
    for kept, new in pairs:
        np.copyto(kept, new, where=better)


def _inverse(d: Array) -> Array:
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1 / d
    return np.where(np.isfinite(inverse), inverse, 0).astype(d.dtype)


def _divide(a: Array, b: Array) -> Array:
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
