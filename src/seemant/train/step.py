"""One optimiser step: micro-batches, one update; it stops on a number that is not finite.

A step minimises the weighted mean over all its targets, whatever micro-batch and rank they came
in: loss = Σ_j Σ_i w_i ℓ_ij / N, N = Σ_j Σ_i w_i counted over the whole step before the first
backward pass. A mean of the micro-batches' means would give short answers' tokens more weight.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from seemant.core.errors import WorldError
from seemant.core.jsonl import write_json
from seemant.train.adapt import Dropout
from seemant.train.lines import StepLine
from seemant.train.objective import Objective, Terms
from seemant.train.optim import Pace, learning_rate
from seemant.train.rows.render import Row
from seemant.train.scale.world import World

Batches = Sequence[Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Trainee:
    """What is trained: its parameters by name, how far it is from right, how it moves."""

    parameters: Mapping[str, nn.Parameter]
    objective: Objective
    optimiser: torch.optim.Optimizer
    dropout: Dropout


@dataclass(frozen=True, slots=True)
class Summed:
    """Means over a step's targets: what was minimised, cross-entropy by bucket, KL to the base."""

    total: float
    nats: float
    by_bucket: dict[str, float]
    kl: float | None


def update(
    trainee: Trainee, batches: Batches, step: int, pace: Pace, world: World, out: Path
) -> StepLine:
    """Make optimiser step `step` (from 0) out of its micro-batches; return its line.

    Raises:
        WorldError: a loss or gradient was not finite; the batch is in `nan_step_N.json`.
    """
    trainee.optimiser.zero_grad(set_to_none=True)
    summed = accumulate(trainee, batches, step, world)
    if not math.isfinite(summed.total):
        raise _not_finite(batches, step, summed.total, math.nan, out, world)
    world.reduce_gradients(trainee.parameters.values())
    limit = math.inf if pace.clip is None else pace.clip
    found = nn.utils.clip_grad_norm_(list(trainee.parameters.values()), limit)
    norm = float(found.full_tensor() if hasattr(found, "full_tensor") else found)
    if not math.isfinite(norm):
        raise _not_finite(batches, step, summed.total, norm, out, world)
    rate = learning_rate(step, pace)
    for group in trainee.optimiser.param_groups:
        group["lr"] = rate
    trainee.optimiser.step()
    return StepLine(
        step=step + 1,
        loss=summed.nats,
        loss_by_bucket=summed.by_bucket,
        kl=summed.kl,
        tokens=sum(len(row.ids) for batch in batches for row in batch),
        answer_tokens=sum(row.n_answer for batch in batches for row in batch),
        grad_norm=norm,
        lr=rate,
        minimised=summed.total,
    )


def accumulate(trainee: Trainee, batches: Batches, step: int, world: World) -> Summed:
    """Add the gradient of the weighted mean over all targets of all micro-batches.

    Each rank takes its own micro-batches and scales by R / N, as gradients are then averaged over
    the R ranks. It stops adding at the first loss that is not finite; where passes are made
    together (a sharded base), all ranks stop before the same backward pass.
    """
    n = sum(row.weight * row.n_answer for batch in batches for row in batch)
    buckets = sorted({row.bucket for batch in batches for row in batch})
    total, nats = 0.0, dict.fromkeys(buckets, 0.0)
    kl = n_kl = 0.0
    try:
        for number, batch in enumerate(batches):
            if number % world.size != world.rank:
                continue
            trainee.dropout.at = (step, number)
            terms = trainee.objective(batch)
            loss = (terms.total * weights(batch, terms.total)).sum() / n
            total += float(loss.detach())
            if not _all_finite(total, world):
                break
            (loss * world.size).backward()  # type: ignore[no-untyped-call]
            for bucket, value in _by_bucket(terms, batch).items():
                nats[bucket] += value
            if terms.kl is not None:
                kl, n_kl = kl + float(terms.kl.sum()), n_kl + len(terms.kl)
    finally:
        trainee.dropout.at = None
    total, kl, n_kl, *sums = world.sum_floats([total, kl, n_kl, *nats.values()])
    counts = {
        bucket: sum(row.n_answer for batch in batches for row in batch if row.bucket == bucket)
        for bucket in buckets
    }
    return Summed(
        total=total,
        nats=sum(sums) / sum(counts.values()),
        by_bucket={
            bucket: value / counts[bucket]
            for bucket, value in zip(buckets, sums, strict=True)
            if counts[bucket]
        },
        kl=kl / n_kl if n_kl else None,
    )


def _all_finite(total: float, world: World) -> bool:
    """Return whether to go on: a lone rank asks itself, ranks in step ask each other."""
    bad = float(not math.isfinite(total))
    return not (world.sum_floats([bad])[0] if world.shards else bad)


def weights(rows: Sequence[Row], like: Tensor) -> Tensor:
    """Return each target's weight, (M,) of `like`'s type and device, row after row."""
    flat = [row.weight for row in rows for _ in range(row.n_answer)]
    return torch.tensor(flat, dtype=like.dtype, device=like.device)


def _by_bucket(terms: Terms, batch: Sequence[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    parts = torch.split(terms.nats.double(), [row.n_answer for row in batch])
    for row, part in zip(batch, parts, strict=True):
        found[row.bucket] = found.get(row.bucket, 0.0) + float(part.sum())
    return found


def _not_finite(
    batches: Batches, step: int, loss: float, norm: float, out: Path, world: World
) -> WorldError:
    path = out / f"nan_step_{step + 1}.json"
    rows = [
        [
            {"key": row.key, "lang": row.lang, "ids": list(row.ids), "n_prompt": row.n_prompt}
            for row in batch
        ]
        for batch in batches
    ]
    whole = sorted(each.name for each in (out / ".checkpoints").glob("step_*"))
    facts = {
        "step": step + 1,
        "loss": str(loss),
        "grad_norm": str(norm),
        "last_checkpoint": whole[-1] if whole else None,
        "rows": rows,
    }
    if world.rank == 0:
        write_json(path, facts)
    return WorldError(
        f"step {step + 1} is not finite: loss {loss}, gradient norm {norm}",
        where=str(path),
        fix="look at the pairs in that file; a lower --lr or a longer --warmup often helps",
    )
