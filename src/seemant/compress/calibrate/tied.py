"""The Hessian of an embedding that is read twice: as a table, and as the output head.

    H = (1 - ρ) H_head / tr H_head + ρ H_tab / tr H_tab

H_head, the mean of h hᵀ over outputs of the last norm, is what the head's error is measured in.
Alone it is a trap where the matrix is tied: error feedback moves error into directions that the
head does not look at and the table reads. A table's row goes through the first norm, of gain g:
y = g ⊙ x / rms(x), so its error counts by H_tab = diag(g²); without a gain, by the identity.
"""

import torch
from torch import Tensor


def tied_hessian(head: Tensor, share: float, gain: Tensor | None = None) -> Tensor:
    """Return H (d, d) float32 of trace 1, `share` (ρ, 0 to 1) of it the table's.

    head: H_head (d, d). gain: (d,) of the first block's first norm, whole (Gemma's 1 + w).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share}")
    table = torch.ones(len(head)) if gain is None else gain.float().square()
    out = head.float() * _scaled(1 - share, head.diagonal())
    out.diagonal().add_(table, alpha=_scaled(share, table))
    return out


def _scaled(share: float, diagonal: Tensor) -> float:
    """Return what makes the trace `share`; 0 of what is all 0, where a gain leaves nothing."""
    trace = float(diagonal.double().sum())
    return share / trace if trace else 0.0
