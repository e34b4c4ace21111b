"""The training loop: micro-batches, one update, what it cost; it stops on a non-finite number.

One step minimises the mean over its answer tokens, whatever micro-batch they came in:
loss = Σ_j Σ_i ℓ_ij / N, with N counted before the first backward pass. A mean of the
micro-batches' means would give the tokens of short answers more weight.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from seemant.core.errors import WorldError
from seemant.core.jsonl import write_json
from seemant.core.records import Record
from seemant.core.runlog import log_event
from seemant.core.usage import peak_rss_bytes
from seemant.train.config import TrainConfig
from seemant.train.heldout import answer_nats, nats_per_token
from seemant.train.order import step_batches
from seemant.train.render import Row
from seemant.train.student import Student


class StepLine(Record):
    """One line of `losses.jsonl`; step 0 is the untrained model and has no training loss.

    loss: mean of the step's answer tokens in nats, before its update. heldout_loss: nats a token
    after the update, where it was measured. grad_norm: before clipping.
    """

    step: int
    loss: float | None
    heldout_loss: float | None = None
    tokens: int
    answer_tokens: int
    grad_norm: float | None
    lr: float


@dataclass(slots=True)
class Progress:
    """What a run has done so far; with adapters, moments and generator it is a checkpoint.

    before, now: nats of each held-out row under the untrained model and at the last look.
    bit_exact: no part of it ran with other threads, versions or CPU than the rest.
    """

    step: int = 0
    before: list[float] = field(default_factory=list)
    now: list[float] = field(default_factory=list)
    history: list[StepLine] = field(default_factory=list)
    bit_exact: bool = True


def train(
    student: Student,
    parameters: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    rows: Sequence[Row],
    heldout: Sequence[Row],
    config: TrainConfig,
    progress: Progress,
    out: Path,
    *,
    save: Callable[[Progress], None],
    tick: Callable[..., None] = lambda *_, **__: None,
) -> None:
    """Go on from `progress` to the last step, updating it and `parameters` in place.

    `save` is called every `save_every` steps and after the last. Each step is one "step" event.

    Raises:
        WorldError: a loss or gradient was not finite; its batch is in `nan_step_N.json`.
    """
    if progress.step == 0 and heldout:
        progress.before = progress.now = answer_nats(student, heldout, config.batch)
        progress.history = [_untrained(progress.before, heldout)]
    lengths = [len(row.ids) for row in rows]
    while progress.step < config.steps:
        start = time.perf_counter()
        chosen = step_batches(
            lengths, config.batch, config.accumulation, config.seed, progress.step
        )
        batches = [[rows[i] for i in batch] for batch in chosen]
        line = update(student, parameters, optimiser, batches, config, progress.step, out)
        seconds = time.perf_counter() - start
        progress.step += 1
        last = progress.step == config.steps
        if heldout and (last or progress.step % config.eval_every == 0):
            progress.now = answer_nats(student, heldout, config.batch)
            value = nats_per_token(progress.now, heldout).value
            line = line.model_copy(update={"heldout_loss": value})
        progress.history.append(line)
        log_event(out, "step", **line.model_dump(), seconds=seconds, peak_rss=peak_rss_bytes())
        if last or progress.step % config.save_every == 0:
            save(progress)
        tick(1, f"loss {line.loss:.3f}")


def update(
    student: Student,
    parameters: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    batches: Sequence[Sequence[Row]],
    config: TrainConfig,
    step: int,
    out: Path,
) -> StepLine:
    """Make one optimiser step (`step` counts from 0) and return its line."""
    optimiser.zero_grad(set_to_none=True)
    loss = accumulate(student, batches)
    limit = math.inf if config.clip is None else config.clip
    norm = float(nn.utils.clip_grad_norm_(list(parameters.values()), limit))
    if not math.isfinite(loss) or not math.isfinite(norm):
        _stop(batches, step, loss, norm, out)
    rate = learning_rate(step, config)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return StepLine(
        step=step + 1,
        loss=loss,
        tokens=sum(len(row.ids) for batch in batches for row in batch),
        answer_tokens=sum(row.n_answer for batch in batches for row in batch),
        grad_norm=norm,
        lr=rate,
    )


def accumulate(student: Student, batches: Sequence[Sequence[Row]]) -> float:
    """Add the gradient of the mean loss over all targets of all batches; return that mean.

    It stops adding at the first loss that is not finite, and returns that.
    """
    n = sum(row.n_answer for batch in batches for row in batch)
    total = 0.0
    for batch in batches:
        loss = student.answer_losses(batch).sum() / n
        total += float(loss.detach())
        if not math.isfinite(total):
            break
        loss.backward()  # type: ignore[no-untyped-call]
    return total


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the rate of optimiser step `step` (from 0): linear warm-up, then half a cosine."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def _untrained(nats: list[float], heldout: Sequence[Row]) -> StepLine:
    value = nats_per_token(nats, heldout).value
    return StepLine(
        step=0,
        loss=None,
        heldout_loss=value,
        tokens=0,
        answer_tokens=0,
        grad_norm=None,
        lr=0.0,
    )


def _stop(batches: Sequence[Sequence[Row]], step: int, loss: float, norm: float, out: Path) -> None:
    path = out / f"nan_step_{step + 1}.json"
    rows = [
        [{"key": row.key, "ids": row.ids, "targets": row.targets} for row in batch]
        for batch in batches
    ]
    write_json(path, {"step": step + 1, "loss": str(loss), "grad_norm": str(norm), "rows": rows})
    raise WorldError(
        f"step {step + 1} is not finite: loss {loss}, gradient norm {norm}",
        where=str(path),
        fix="look at the pairs in that file; a lower --lr or a longer --warmup often helps",
    )
