"""Hidden states of a teacher as targets, for students of other widths and depths.

    loss_i = ‖P h_s,i - h_t,i‖² / d_t

with P (d_t, d_s) learned beside the student (FitNets, arXiv 1412.6550, equation 3). Layers are
matched by their share of the depth.
"""

import torch
from torch import Tensor, nn


def hidden_loss(h_student: Tensor, h_teacher: Tensor, projection: Tensor) -> Tensor:
    """Return the mean squared difference of each row, (M,) float32.

    h_student (M, d_s); h_teacher (M, d_t), a constant; projection (d_t, d_s).
    """
    reached = h_student.to(projection.dtype) @ projection.T
    return (reached - h_teacher.detach().to(projection.dtype)).square().mean(1)


def projection(d_student: int, d_teacher: int, seed: int) -> nn.Parameter:
    """Return the start of P: the identity of equal widths, else random orthonormal rows or columns.

    It keeps lengths, so the first losses are of the size of the states.
    """
    if d_student == d_teacher:
        return nn.Parameter(torch.eye(d_teacher))
    start = torch.empty(d_teacher, d_student)
    nn.init.orthogonal_(start, generator=torch.Generator().manual_seed(seed))
    return nn.Parameter(start)


def matched_layers(n_student: int, n_teacher: int, n: int) -> list[tuple[int, int]]:
    """Return n pairs (student's layer, teacher's layer), counted from 1: equal shares of depth.

    The last pair is the last layer of both; n is at most the student's number of layers.
    """
    ours = [round(n_student * i / n) for i in range(1, n + 1)]
    return [(layer, max(1, round(n_teacher * layer / n_student))) for layer in ours]
