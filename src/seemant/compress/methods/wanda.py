"""Wanda: the weights with the least |W_ij| ||x_j||_2 of every output row go.

Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", arXiv 2306.11695.
Comparing within a row is what makes it work: every output keeps as many inputs. Weights that stay
are not changed (no error feedback).
"""

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.prune.masks import mask, pattern_of
from seemant.compress.prune.scores import wanda
from seemant.compress.prune.survivors import check_prunable, round_survivors


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the codes of a matrix without the weights of least score, row by row.

    Raises:
        BadConfig: an unknown pattern, one that does not divide the row, a format without a zero,
            or no calibration.
        BadFile: a weight is not finite, or too large for an fp16 scale.
    """
    check_prunable(matrix)
    pattern = pattern_of(config.sparsity)
    score = wanda(matrix.weight, matrix.the_importance())
    return round_survivors(matrix, mask(score, pattern, within="row", name=matrix.name))
