"""SparseGPT: prune column by column, the weights that stay take over the error; then round them.

Frantar and Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
arXiv 2301.00774, Algorithm 1. It is GPTQ's loop (`gptq_loop`) with one line more: at every 128th
column j, of the weights as they are by then,

    M_:,j:j+128 = the share with the least w² / U_jj² over all rows       H⁻¹ = Uᵀ U
    N:M instead: the least M - N of every M columns, chosen when j mod M = 0

and a masked weight is "rounded" to code 0, its whole value fed on as error. What stays is rounded
on the format's grid in the same pass (section 3.5 of the paper); in "f16" that is pruning alone.
"""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from seemant.compress.methods import magnitude
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.gptq import GptqReport, all_dead, gptq, prepare
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.prune.masks import Pattern, mask, pattern_of
from seemant.compress.prune.scores import obs
from seemant.compress.prune.survivors import check_prunable
from seemant.core.errors import BadConfig

COLUMNS = 128  # whose mask is chosen together: the paper's mask selection blocksize


def run(matrix: Matrix, config: MethodConfig) -> Quantised:
    """Return the codes and grids of the pruned matrix; `matrix.notes` gets the report.

    Raises:
        BadConfig: an unknown pattern, one that does not divide the row, a format without a zero,
            no Hessian, or an order of columns other than the natural one.
        BadFile: a weight or a moment is not finite, or H is not positive definite.
    """
    if config.order not in (None, "natural"):
        raise BadConfig(
            f"sparsegpt chooses its masks in stored order, not in the order {config.order!r}",
            where="order",
            fix='use order "natural"',
        )
    check_prunable(matrix)
    if matrix.is_dead():  # no error to make up for, and no input to tell weights apart by
        matrix.notes.update(asdict(all_dead(matrix)))
        return magnitude.run(matrix, config)
    quantised, report, sparsity = sparsegpt(matrix, config)
    matrix.notes.update(asdict(report) | {"sparsity": sparsity})
    return quantised


def sparsegpt(
    matrix: Matrix,
    config: MethodConfig,
    *,
    columns: int = COLUMNS,
    compute: torch.dtype = torch.float32,
) -> tuple[Quantised, GptqReport, float]:
    """Return codes and grids, GPTQ's report and the share that was pruned.

    columns: whose unstructured mask is chosen together. compute: the loop's type.
    """
    pattern = pattern_of(config.sparsity)
    if pattern.m is not None:
        mask(matrix.weight[:1], pattern, name=matrix.name)  # M divides the row, or an error
    prepared = prepare(
        matrix.the_hessian(), matrix.format, replace(config, order="natural"), name=matrix.name
    )
    chosen: list[int] = []
    quantised, report = gptq(
        matrix.weight,
        prepared,
        matrix.format,
        search=matrix.search,
        block=config.block,
        rows_at_once=len(matrix.weight),  # the share is over all rows
        prune=(pattern.m or columns, _chooser(pattern, chosen)),
        compute=compute,
    )
    return quantised, report, sum(chosen) / matrix.weight.size


def _chooser(pattern: Pattern, chosen: list[int]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the choice of what is pruned; it notes in `chosen` how many weights that were."""

    def choose(w: Tensor, u_diagonal: Tensor) -> Tensor:
        score = obs(w.numpy(), u_diagonal.numpy())
        pruned = mask(score, pattern, within="tensor")
        chosen.append(int(np.count_nonzero(pruned)))
        return torch.from_numpy(pruned)

    return choose
