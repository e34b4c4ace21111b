"""Scores: how much a weight matters, by three rules; the lowest scores are pruned.

W (rows, columns) is a linear layer's weight, x its input; higher is kept.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def magnitude(w: Array) -> Array:
    """Return |W|: no data (Han et al., arXiv 1506.02626)."""
    return np.abs(w)


def wanda(w: Array, mean_square: Array) -> Array:
    """Return |W_ij| ||x_j||_2 (Sun et al., arXiv 2306.11695, equation 1).

    mean_square: (columns,) the mean of x_j² over calibration tokens. ||x_j||_2 is its root times
    the root of the number of tokens: a constant, which changes no order and is left out.
    """
    score: Array = np.abs(w) * np.sqrt(mean_square)
    return score


def obs(w: Array, u_diagonal: Array) -> Array:
    """Return w² / U_jj² (Frantar and Alistarh, arXiv 2301.00774, Algorithm 1).

    U is the upper Cholesky factor of H⁻¹, U_jj² = [H_F⁻¹]_jj over the columns F that are still
    free at column j: the error that is left when weight j goes and all later ones make up for it.
    """
    score: Array = np.square(w / u_diagonal)
    return score
