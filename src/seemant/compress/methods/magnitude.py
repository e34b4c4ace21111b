"""Magnitude pruning: the smallest weights of a matrix go (Han et al., arXiv 1506.02626).

The baseline of pruning: no data. A share is taken over the whole matrix, as the papers that compare
with it do (layer by layer), not row by row.
"""

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.prune.masks import mask, pattern_of
from seemant.compress.prune.scores import magnitude
from seemant.compress.prune.survivors import check_prunable, round_survivors


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the codes of a matrix without its smallest weights; `matrix` must be whole.

    Raises:
        BadConfig: an unknown pattern, one that does not divide the row, or a format without a zero.
        BadFile: a weight is not finite, or too large for an fp16 scale.
    """
    check_prunable(matrix)
    pattern = pattern_of(config.sparsity)
    pruned = mask(magnitude(matrix.weight), pattern, within="tensor", name=matrix.name)
    return round_survivors(matrix, pruned)
