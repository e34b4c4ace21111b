"""RTN, round to nearest: the baseline that every better method must beat.

Every weight goes to the nearest value of its group's grid; no data, no error feedback. Where an
adapter was merged into weights that lie half-way between two values, it does not decide (`ties`).
"""

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.ties import broken_at_random, ties_of
from seemant.core.seeds import rng
from seemant.formats.tensor_format import fit_format, fits, snap_format


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the nearest codes of a matrix.

    Raises:
        BadConfig: the format does not fit the row.
        BadFile: a weight is not finite, or too large for an fp16 scale; names the tensor and row.
    """
    del config  # there is nothing to choose
    fits(matrix.format, matrix.weight.shape[1], name=matrix.name)
    matrix.check_finite()
    params = fit_format(matrix.weight, matrix.format, search=matrix.search)
    codes = snap_format(matrix.weight, params)
    if matrix.base is not None and not (matrix.format.is_k or matrix.format.is_float):
        ties = ties_of(matrix.base, fit_format(matrix.base, matrix.format, search=matrix.search))
        if ties is not None:
            draw = rng(0, "ties", matrix.name, str(matrix.first_row))
            codes = broken_at_random(codes, matrix.weight, params, ties, draw)
    return Quantised(codes, params)
