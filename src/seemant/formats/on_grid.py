"""Whether weights already lie on a coarse grid: the sign that they were quantised before.

Rounding such weights to the same grid costs nothing, and to a nested one costs more than it should:
numbers measured so are artefacts of the reference, and this test is how they are found.
"""

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Grid, fit, snap, value
from seemant.formats.packing import BLOCK, CONTAINERS

ON_GRID = 0.5  # more than this share of the groups: the matrix is called quantised
_STEPS = 2e-2  # how far from a code, in steps: fp16 scales leave this much at 8 bits


def shares_on_grid(w: NDArray[np.float32], *, limit_rows: int | None = 4096) -> dict[str, float]:
    """Return for each 32-weight layout the share of w's groups that it holds exactly.

    w: (rows, columns), columns a multiple of 32. At most `limit_rows` rows, evenly spaced, are
    looked at. A group counts when every weight is within 2 % of a step of a code *and* its values
    are not all zero. 8-bit codes are fine enough to hold 4- and 5-bit ones only by chance, as the
    largest weight lands on another code there.
    """
    if limit_rows is not None and len(w) > limit_rows:
        w = w[np.linspace(0, len(w) - 1, limit_rows).astype(int)]
    groups = w.reshape(len(w), -1, BLOCK)
    live = np.abs(groups).max(-1) > 0
    n_live = int(live.sum())
    return {
        name: float((_exact(groups, box.grid) & live).sum() / n_live) if n_live else 0.0
        for name, box in CONTAINERS.items()
    }


def detect(w: NDArray[np.float32], *, limit_rows: int | None = 4096) -> str | None:
    """Return the layout that most of w's groups lie on, or None: weights that were not rounded."""
    shares = shares_on_grid(w, limit_rows=limit_rows)
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > ON_GRID else None


def _exact(groups: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    params = fit(groups, grid)
    off = np.abs(groups - value(snap(groups, params), params))
    return np.asarray((off <= _STEPS * np.abs(params.scale)).all(-1))
