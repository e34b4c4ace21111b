"""What every method returns: the integers of a matrix and the grid on which they lie."""

from typing import NamedTuple

from seemant.formats.grids import Codes, Params


class Quantised(NamedTuple):
    """Codes, int16 (rows, groups, group) in stored column order, and every group's grid."""

    codes: Codes
    params: Params
