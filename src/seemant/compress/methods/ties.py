"""Ties of a base that was quantised before, and an adapter that was merged into it.

A base stored as Q5_0 has every second point of its grid half-way between two points of Q4_0. An
adapter moves a weight by far less than a step, yet its sign decides where all of these weights go:
to nearest, they apply the adapter many times over (nine times on Gemma 3 270M), while the weights
in between never move. Ties broken without a look at the adapter lose it altogether.

So a tied weight is rounded at random, upwards with a probability that grows with what the adapter
added to it: with d in steps of the grid and a share s of the weights at ties,

    P(up) = 1/2 + d / s        so that over all weights  E <v - w, D> = <D, D>

The adapter is applied once, on average, and the error is independent of it otherwise. The draws
of two neighbours are half a turn apart (antithetic), so that of two ties one goes up and one down.
"""

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Codes, Params

NEAR = 0.02  # steps from half-way: fp16 scales leave less than 0.01 at 4 bits
NESTED = 0.25  # share at ties above which a grid is nested: 0.5 where it is, 0.04 by chance


def ties_of(base: NDArray[np.float32], params: Params) -> NDArray[np.bool_] | None:
    """Return which weights of the base lie half-way between two points of its own grid.

    base: (rows, columns) float32; params: the grid that was fitted to it, not to merged weights.
    Returns (rows, groups, group); None where they are too few for a nested grid.
    """
    steps = _steps(base, params)
    ties = np.abs(steps - np.floor(steps) - 0.5) <= NEAR
    return ties if ties.mean() > NESTED else None


def broken_at_random(
    codes: Codes,
    w: NDArray[np.float32],
    params: Params,
    ties: NDArray[np.bool_],
    draw: np.random.Generator,
) -> Codes:
    """Return the codes of w with the weights at `ties` rounded down or up at random.

    A weight that the adapter moved by half a step or more is no tie any longer: it keeps its code.
    """
    steps = _steps(w, params)
    below = np.rint(steps - 0.5)  # of the two points that the half-way point lies between
    moved = steps - below - 0.5
    still = ties & (np.abs(moved) < 0.5)
    up = _in_pairs(ties, draw) < 0.5 + moved / ties.mean()
    low, high = params.grid.lowest, params.grid.highest
    return np.where(still, np.clip(below + up, low, high), codes).astype(codes.dtype)


def _in_pairs(ties: NDArray[np.bool_], draw: np.random.Generator) -> NDArray[np.float32]:
    """Return uniform numbers in [0, 1), those of a row's ties half a turn apart two by two."""
    rows = ties.reshape(len(ties), -1)
    turn: NDArray[np.int64] = np.cumsum(rows, axis=1) - rows  # how many ties stand before a weight
    drawn = draw.random((len(rows), rows.shape[1] // 2 + 1), np.float32)
    numbers = np.take_along_axis(drawn, turn // 2, axis=1) + (turn % 2) * np.float32(0.5)
    return np.asarray(numbers % 1, np.float32).reshape(ties.shape)


def _steps(w: NDArray[np.float32], params: Params) -> NDArray[np.float32]:
    """Return weights in steps of their group's grid, (rows, groups, group)."""
    grouped = w.reshape(*params.scale.shape[:2], -1)
    start = np.float32(0) if params.start is None else params.start
    return np.asarray((grouped - start) * params.inverse)
