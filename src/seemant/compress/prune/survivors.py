"""Rounding what a mask leaves: pruned weights are code 0, whose value is exactly 0."""

import numpy as np

from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.prune.masks import Mask
from seemant.core.errors import BadConfig
from seemant.formats.tensor_format import Format, fit_format, fits, snap_format


def round_survivors(matrix: Matrix, pruned: Mask) -> Quantised:
    """Return the nearest codes of the weights that are left, 0 elsewhere.

    Grids are fitted after pruning. In the format "f16" this is pruning alone. Leaves the share of
    pruned weights in `matrix.notes["sparsity"]`.
    """
    w = np.where(pruned, np.float32(0), matrix.weight)  # +0: in "f16" its code is 0, too
    params = fit_format(w, matrix.format, search=matrix.search)
    matrix.notes["sparsity"] = float(pruned.mean())
    return Quantised(snap_format(w, params), params)


def check_prunable(matrix: Matrix) -> None:
    """Check that a matrix can be pruned in its format.

    Raises:
        BadConfig: the format has no exact zero, or does not fit the row.
        BadFile: a weight is not finite.
    """
    refuse_without_zero(matrix.format, matrix.name)
    fits(matrix.format, matrix.weight.shape[1], name=matrix.name)
    matrix.check_finite()


def refuse_without_zero(format: Format, name: str) -> None:
    """Refuse a grid with an offset: none of its values need be 0, so a mask would be lost in it.

    Raises:
        BadConfig: the format is asymmetric; names the tensor.
    """
    if not format.grid.symmetric:
        raise BadConfig(
            f"{format.name} has no exact zero (its values are scale * code + offset), "
            "so pruned weights would come back",
            where=f"tensor {name}",
            fix='use a symmetric format ("q4_0", "q5_0", "q8_0", "q6_k"), '
            'or "f16" to prune without rounding',
        )
