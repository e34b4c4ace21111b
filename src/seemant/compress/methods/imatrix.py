"""Importance-weighted rounding: the grid of least Σ a_j (w_j - ŵ_j)², a_j the mean of x_j².

It is llama.cpp's importance matrix without its row factor: the weight that the diagonal of the
Hessian gives, with no error feedback between columns. A weight still goes to its nearest value;
only scales and offsets move. Costs a search a group.
"""

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.formats.tensor_format import fit_format, fits, snap_format


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the nearest codes on the grids that the importance chose.

    `matrix.search` is not asked: min-max grids have no use for importance.

    Raises:
        BadConfig: the format does not fit the row, or there is no importance.
        BadFile: a weight is not finite, or too large for an fp16 scale.
    """
    del config
    fits(matrix.format, matrix.weight.shape[1], name=matrix.name)
    matrix.check_finite()
    importance = matrix.the_importance()
    params = fit_format(matrix.weight, matrix.format, search="mse", importance=importance)
    return Quantised(snap_format(matrix.weight, params), params)
