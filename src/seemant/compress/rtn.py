"""RTN, round to nearest: the baseline that every better method must beat.

Every weight goes to the nearest value of its group's min-max grid; no data, no error feedback.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.grids import Codes, Grid, Params, fit, grouped, snap


class Quantised(NamedTuple):
    """Codes, int16 (rows, groups, group), and the fitted grid of every group."""

    codes: Codes
    params: Params


def rtn(w: NDArray[np.float32], grid: Grid, *, name: str = "") -> Quantised:
    """Return the nearest codes of a matrix (rows, columns).

    Raises:
        BadConfig: the group does not divide the row.
        BadFile: a weight is not finite, or too large for an fp16 scale; names the tensor and row.
    """
    groups = grouped(w, grid.group, name=name)
    if not np.isfinite(groups).all():
        row = int(np.flatnonzero(~np.isfinite(w).all(1))[0])
        raise BadFile(
            f"{w[row][~np.isfinite(w[row])][0]} among the weights",
            where=f"tensor {name}, row {row} of this slice",
            fix="the model or the adapter is damaged; make or fetch it again",
        )
    params = fit(groups, grid)
    return Quantised(snap(groups, params), params)
