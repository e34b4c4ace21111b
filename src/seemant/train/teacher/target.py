"""Which loss a row gets: its answer's, or that and a teacher's stored word on every token of it.

    (1 - w) ℓ_i + w τ² KD_i

ℓ is the cross-entropy of the answer with its smoothing and z-loss (`head.py`), KD the divergence
from the teacher's k tokens and the mass of all others (`kd.py`). A row that the teacher never saw
has w = 0. At τ = 1 both read the same logits: one pass does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.train.loss.kd import Blended, Direction, streamed_topk_kd, topk_close
from seemant.train.loss.streamed import streamed_loss
from seemant.train.loss.topk import TopK
from seemant.train.objective import Objective, Terms
from seemant.train.rows.render import Row
from seemant.train.student import Student
from seemant.train.teacher.stored import Stored, stacked


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """What a teacher's word counts: w, its temperature τ and direction (`kd.py`)."""

    weight: float
    temperature: float = 1.0
    direction: Direction = "forward"


def from_teacher(student: Student, stored: Stored, teaching: Teaching) -> Objective:
    """Return the objective of answers and stored targets together."""

    def terms(rows: Sequence[Row]) -> Terms:
        h, targets = student.hidden(rows)
        return Terms(*taught_losses(student, h, targets, rows, stored, teaching))

    return terms


def taught_losses(
    student: Student,
    h: Tensor,
    targets: Tensor,
    rows: Sequence[Row],
    stored: Stored,
    teaching: Teaching,
) -> tuple[Tensor, Tensor]:
    """Return (what is minimised, the answers' cross-entropy without gradient), (M,) each, in nats.

    h (M, d) and targets (M,) are `student.hidden(rows)`.
    """
    n_vocab = student.decoder.head_weight.shape[0]
    said, weights = _said(rows, targets, stored, teaching.weight, n_vocab)
    if not bool(weights.any()):
        return student.both_losses(h, targets)
    how = student.reading()
    one_pass = teaching.temperature == 1 and not (student.loss.smoothing or student.loss.z_loss)
    if one_pass:
        close = topk_close(said.ids, said.logp, said.tail, teaching.direction)
        both = Blended(close, said.ids == targets.unsqueeze(1), weights)
        total = streamed_loss(h, student.decoder.head_weight, said.ids, both, how)
        assert both.nats is not None
        return total, both.nats
    losses, nats = student.both_losses(h, targets)
    soft = streamed_topk_kd(
        h,
        said.ids,
        said.logp,
        student.decoder.head_weight,
        block=how.block,
        temperature=teaching.temperature,
        tail=said.tail,
        direction=teaching.direction,
        softcap=how.softcap,
        scale=how.scale,
        exact=how.exact,
        scratch=how.scratch,
    )
    return torch.lerp(losses, soft, weights.to(losses.dtype)), nats


def _said(
    rows: Sequence[Row], targets: Tensor, stored: Stored, weight: float, n_vocab: int
) -> tuple[TopK, Tensor]:
    """Return the teacher's word on every target, and each target's w: 0 where there is none.

    Where there is none a filler stands that names the answer alone; with w = 0 it counts nothing.
    """
    device, k = targets.device, stored.teacher.k
    parts, weights = [], []
    own = torch.split(targets.cpu(), [row.n_answer for row in rows])
    for row, answer in zip(rows, own, strict=True):
        found = stored.of(row)
        parts.append(found or _filler(answer, k))
        weights.append(torch.full((len(answer),), weight if found else 0.0))
    whole = stacked(parts)
    # A teacher's head may have more rows than the student's: padding, which no text uses.
    ids = whole.ids.masked_fill(whole.ids >= n_vocab, -1)
    said = TopK(ids.to(device), whole.logp.to(device), whole.tail.to(device))
    return said, torch.cat(weights).to(device)


def _filler(answer: Tensor, k: int) -> TopK:
    ids = torch.full((len(answer), k), -1)
    ids[:, 0] = answer
    even = torch.full((len(answer), k), -0.7)
    return TopK(ids, even, even[:, 0])
