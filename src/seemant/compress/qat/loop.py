"""The loop: KL to the teacher on every step's sequences, one update of codes, scales and norms.

    loss = mean over positions of  KL(p_teacher ‖ p_student) + c · CE(next token),  T = 1

Both heads are streamed over the vocabulary (`train.loss.kl`), so no row of logits is ever made.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seemant.compress.qat import checkpoint
from seemant.compress.qat.freeze import Flips
from seemant.compress.qat.student import Rates, Student
from seemant.compress.qat.teacher import Teacher
from seemant.compress.qat.text import batch_at
from seemant.core.errors import WorldError
from seemant.core.seeds import rng
from seemant.train.loss.head import streamed_losses
from seemant.train.loss.kl import streamed_kl
from seemant.train.loss.stream import Reading
from seemant.train.optim import Pace, Schedule, learning_rate

Ids = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a run goes.

    steps, batch: updates, and sequences of each. micro: sequences that pass together. share: of
    the positions that reach the head. ce: weight c of the next token's cross-entropy. freeze:
    share of the steps, at the end, in which oscillating codes are held; as many before count flips.
    """

    steps: int
    batch: int
    micro: int
    rates: Rates
    share: float = 1.0
    ce: float = 0.0
    schedule: Schedule = "cosine"
    warmup: int = 0
    clip: float | None = 1.0
    freeze: float = 0.1
    vocab_block: int = 8192
    save_every: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One step: mean loss in nats a position, and the gradient's length before clipping."""

    step: int
    loss: float
    grad_norm: float


def train(
    student: Student,
    teacher: Teacher,
    sequences: Sequence[Ids],
    plan: Plan,
    out: Path,
    belongs: Mapping[str, Any],
    tick: Callable[..., None] = lambda *_, **__: None,
) -> list[Line]:
    """Train in place, from a checkpoint in `out` where there is one; return a line a step.

    Raises:
        WorldError: a loss or gradient that is not finite; a checkpoint before it stays.
        BadFile: a checkpoint of another run.
    """
    parameters, flips = student.parameters(), Flips(student.layers)
    # foreach and fused variants round differently on some builds; the plain loop is fixed.
    optimiser = torch.optim.AdamW(student.groups(plan.rates), lr=1.0, weight_decay=0, foreach=False)
    belongs = {**belongs, "plan": asdict(plan)}
    state = checkpoint.resume(out, parameters, optimiser, flips, belongs)
    lines = [Line(**line) for line in state["lines"]] if state else []
    n_held = math.floor(plan.freeze * plan.steps)
    for step in range(len(lines), plan.steps):
        if n_held and step == max(0, plan.steps - 2 * n_held):
            flips.start()
        if n_held and step == plan.steps - n_held:
            flips.freeze()
        lines.append(_update(student, teacher, sequences, plan, optimiser, parameters, step))
        flips.note()
        if (step + 1) % plan.save_every == 0 or step + 1 == plan.steps:
            saved = {"belongs": belongs, "lines": [asdict(line) for line in lines]}
            checkpoint.save(out, parameters, optimiser, flips, saved)
        tick(note=f"KL {lines[-1].loss:.4f}")
    return lines


@torch.no_grad()
def divergence(
    student: Student, teacher: Teacher, sequences: Sequence[Ids], plan: Plan, *, at: int = 0
) -> list[float]:
    """Return each sequence's mean KL to the teacher, nats a position; `at`: the first's index."""
    found = []
    for index, ids in enumerate(sequences):
        h = student.decoder(torch.tensor(list(ids)), [len(ids)])
        found.append(float(_kl(student, teacher, h, teacher.hidden([at + index]), plan).mean()))
    return found


def _update(
    student: Student,
    teacher: Teacher,
    sequences: Sequence[Ids],
    plan: Plan,
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    step: int,
) -> Line:
    optimiser.zero_grad(set_to_none=True)
    chosen = batch_at(len(sequences), plan.batch, step, plan.seed)
    micros = [chosen[i : i + plan.micro] for i in range(0, len(chosen), plan.micro)]
    positions = [_positions(sequences, part, plan, step, i) for i, part in enumerate(micros)]
    n, total = sum(len(each) for each in positions), 0.0
    for part, places in zip(micros, positions, strict=True):
        loss = _losses(student, teacher, [sequences[i] for i in part], part, places, plan).sum() / n
        total += float(loss.detach())
        if not math.isfinite(total):
            raise _not_finite(step, total, math.nan, plan)
        loss.backward()  # type: ignore[no-untyped-call]
    limit = math.inf if plan.clip is None else plan.clip
    norm = float(nn.utils.clip_grad_norm_(list(parameters.values()), limit))
    if not math.isfinite(norm):
        raise _not_finite(step, total, norm, plan)
    pace = Pace(
        steps=plan.steps, accumulation=1, lr=1.0, schedule=plan.schedule, warmup=plan.warmup
    )
    factor = learning_rate(step, pace)
    for group in optimiser.param_groups:
        group["lr"] = factor * group["base"]
    optimiser.step()
    return Line(step + 1, total, norm)


def _positions(
    sequences: Sequence[Ids], part: Sequence[int], plan: Plan, step: int, micro: int
) -> Tensor:
    """Return which positions of a micro-batch reach the head, sorted; the same on every run."""
    n = sum(len(sequences[i]) for i in part)
    if plan.share == 1:
        return torch.arange(n)
    drawn = rng(plan.seed, "qat-positions", step, micro).permutation(n)
    return torch.from_numpy(drawn[: max(1, round(plan.share * n))]).sort().values


def _losses(
    student: Student,
    teacher: Teacher,
    rows: Sequence[Ids],
    part: Sequence[int],
    places: Tensor,
    plan: Plan,
) -> Tensor:
    ids = torch.tensor([token for row in rows for token in row])
    h = student.decoder(ids, [len(row) for row in rows]).index_select(0, places)
    losses = _kl(student, teacher, h, teacher.hidden(part).index_select(0, places), plan)
    if plan.ce:
        targets = torch.tensor([token for row in rows for token in (*row[1:], -1)])[places]
        head, how = student.decoder.head_weight, _reading(student, plan)
        nats, _ = streamed_losses(
            h, targets, head, how.block, softcap=how.softcap, scratch=how.scratch
        )
        losses = losses + plan.ce * nats
    return losses


def _kl(student: Student, teacher: Teacher, h: Tensor, wanted: Tensor, plan: Plan) -> Tensor:
    return streamed_kl(
        h,
        wanted.to(h.dtype),
        student.decoder.head_weight,
        teacher.head,
        block=plan.vocab_block,
        student=_reading(student, plan),
        teacher=Reading(plan.vocab_block, softcap=teacher.softcap),
    )


def _reading(student: Student, plan: Plan) -> Reading:
    decoder = student.decoder
    return Reading(plan.vocab_block, softcap=decoder.shape.softcap, scratch=decoder.scratch)


def _not_finite(step: int, loss: float, norm: float, plan: Plan) -> WorldError:
    saved = step // plan.save_every * plan.save_every
    kept = f"the checkpoint of step {saved} is whole" if saved else "no checkpoint was written yet"
    return WorldError(
        f"step {step + 1} is not finite: loss {loss}, gradient norm {norm}",
        fix="the same command would come here again: lower the learning rates (--lr-scale, "
        f"--lr-weight) or lengthen --warmup, which begins anew; {kept}",
    )
