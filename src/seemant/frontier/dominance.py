"""Dominance: one candidate beats another when it loses on no axis and wins on at least one."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def non_dominated(points: Floats) -> Bools:
    """Return which candidates no other candidate dominates.

    points (candidates, axes): larger is better on every axis, so costs come negated; -inf where a
    candidate has no value, for example in a language that its model does not carry. Equal
    candidates do not dominate each other: both stay. Source: Pareto dominance as in Kung, Luccio
    & Preparata, J. ACM 22(4), 1975.
    """
    return np.asarray(~dominates(points).any(axis=-2))


def dominates(points: Floats) -> Bools:
    """Return [..., i, j] = candidate i dominates candidate j.

    points (..., candidates, axes) -> (..., candidates, candidates). Leading dimensions are
    independent resamples. Axis by axis, to hold one boolean cube in memory and not one an axis.
    """
    shape = (*points.shape[:-1], points.shape[-2])
    nowhere_worse, somewhere_better = np.ones(shape, bool), np.zeros(shape, bool)
    for axis in range(points.shape[-1]):
        value = points[..., axis]
        a, b = value[..., :, None], value[..., None, :]
        nowhere_worse &= a >= b
        somewhere_better |= a > b
    return nowhere_worse & somewhere_better
