"""What a micro-batch is asked to minimise, token by token: answers, a teacher's word, the base's.

    total_i = (1 - w) ℓ_i + w τ² KD_i + λ KL(base ‖ student)_i

ℓ is the cross-entropy with its smoothing and z-loss (`head.py`), KD the stored teacher
(`target.py`), and the base is the same weights with their adapters off. Each term is there only
where its weight is not zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.train.adapt import LoraLinear, adapters_off
from seemant.train.rows.render import Row
from seemant.train.student import Student


@dataclass(frozen=True, slots=True)
class Terms:
    """The loss of every target of a micro-batch, row after row, each (M,).

    total: what is minimised. nats: the plain
    cross-entropy -ln q_y, detached: what is reported. kl: KL to the base,
    detached, where it takes part.
    """

    total: Tensor
    nats: Tensor
    kl: Tensor | None = None


Objective = Callable[[Sequence[Row]], Terms]
Losses = Callable[[Student, Tensor, Tensor, Sequence[Row]], tuple[Tensor, Tensor]]
"""From a student's hidden rows (M, d) and targets (M,) to what is minimised and what is told."""


def own_losses(
    student: Student, h: Tensor, targets: Tensor, rows: Sequence[Row]
) -> tuple[Tensor, Tensor]:
    """Return the answers' own loss, and their cross-entropy alone without gradient."""
    return student.both_losses(h, targets)


def answers_only(student: Student, losses: Losses = own_losses) -> Objective:
    """Return the objective of the answers: their cross-entropy, or another loss of each token."""

    def terms(rows: Sequence[Row]) -> Terms:
        return Terms(*losses(student, *student.hidden(rows), rows))

    return terms


@dataclass(slots=True)
class Weight:
    """A weight that a rule may change between steps (`forget.KlRule`)."""

    value: float


def near_base(
    student: Student,
    adapters: Mapping[str, LoraLinear],
    weight: Weight,
    losses: Losses = own_losses,
) -> Objective:
    """Return the answers' loss plus λ KL(p_base ‖ p_student) at the same positions.

    Forward KL: the student keeps probability wherever its base had some. It costs one more
    forward pass without gradient, and no second model.
    """

    def terms(rows: Sequence[Row]) -> Terms:
        h, targets = student.hidden(rows)
        total, nats = losses(student, h, targets, rows)
        kl = student.token_kl(h, base_hidden(student, adapters, rows), "forward")
        return Terms(total + weight.value * kl, nats, kl.detach())

    return terms


@torch.no_grad()
def base_hidden(
    student: Student, adapters: Mapping[str, LoraLinear], rows: Sequence[Row]
) -> Tensor:
    """Return the base's hidden states (M, d) at the positions that `student.hidden` gives."""
    with adapters_off(adapters):
        return student.hidden(rows)[0]
