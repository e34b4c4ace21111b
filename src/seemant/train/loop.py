"""The training loop: steps, held-out looks, hooks, checkpoints, in an order that can be resumed."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from seemant.core.errors import WorldError
from seemant.core.memory import resident_bytes
from seemant.core.runlog import log_event
from seemant.core.usage import peak_rss_bytes
from seemant.train.heldout import by_bucket, nats_per_token
from seemant.train.hooks import Hook
from seemant.train.lines import Best, Progress, StepLine
from seemant.train.optim import Pace
from seemant.train.rows.order import Order
from seemant.train.rows.render import PAIRS, Row
from seemant.train.scale.world import World
from seemant.train.step import Trainee, update

LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Looked:
    """The held-out rows under the present weights: nats of each answer, and mean KL to the base."""

    nats: list[float]
    kl: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the loop is given beside the trainee and its data.

    look: measures the held-out rows, None where there are none. save: writes a checkpoint.
    keep_best: whether the weights with the lowest held-out loss are to be kept. as_saved: puts
    what would be saved in place of what is trained while anything looks. stop: asked after every
    step, ends the run with a checkpoint.
    """

    pace: Pace
    out: Path
    world: World
    look: Callable[[], Looked] | None
    save: Callable[[Progress], None]
    hooks: Sequence[Hook] = ()
    keep_best: bool = False
    as_saved: Callable[[], AbstractContextManager[None]] = nullcontext
    tick: Callable[..., None] = lambda *_, **__: None
    stop: Callable[[], bool] = lambda: False


def train(
    trainee: Trainee,
    rows: Sequence[Row],
    heldout: Sequence[Row],
    order: Order,
    progress: Progress,
    around: Around,
) -> None:
    """Go on from `progress` to the last step, updating it and the parameters in place.

    A checkpoint is written every `save_every` steps, at the end, and wherever weights are the
    best so far. Each step is one "step" event.

    Raises:
        WorldError: a loss or gradient was not finite, or the run was asked to stop.
    """
    pace = around.pace
    if progress.step == 0:
        _before_step_1(heldout, progress, around)
    while progress.step < pace.steps and not progress.ended:
        start = time.perf_counter()
        chosen = order.step(progress.step, pace.accumulation)
        batches = [[rows[i] for i in batch] for batch in chosen]
        line = update(trainee, batches, progress.step, pace, around.world, around.out)
        seconds = time.perf_counter() - start
        progress.step += 1
        best = dict(progress.best)
        for hook in around.hooks:
            hook.after_update(progress.step)
        with around.as_saved():
            line = _looked_at(line, heldout, progress, around)
        if around.world.rank == 0:
            _tell(around, line, batches, seconds)
        last = progress.step == pace.steps or bool(progress.ended)
        asked = around.stop()
        if last or asked or progress.best != best or progress.step % pace.save_every == 0:
            around.save(progress)
        around.tick(1, f"loss {line.loss:.3f}, {resident_bytes() / 1e6:.0f} MB")
        if asked and not last:
            raise WorldError(
                f"asked to stop after step {progress.step}",
                where=str(around.out),
                fix="run the same command: it goes on from there",
            )


def _before_step_1(heldout: Sequence[Row], progress: Progress, around: Around) -> None:
    if around.look:
        looked = around.look()
        progress.before = progress.now = looked.nats
        line = StepLine(step=0, loss=None, tokens=0, answer_tokens=0, grad_norm=None, lr=0.0)
        progress.history = [_with_loss(line, looked, heldout)]
    for hook in around.hooks:
        verdict = hook.begin(progress.before)
        if verdict is not None and verdict.best:
            progress.best[hook.name] = Best(step=0, score=verdict.score or 0.0)
    if progress.best:  # the untrained student can be taken back
        around.save(progress)


def _looked_at(
    line: StepLine, heldout: Sequence[Row], progress: Progress, around: Around
) -> StepLine:
    """Measure the held-out loss where it is due, ask the hooks, note what is best and what ends."""
    step, hooks = progress.step, around.hooks
    due = step == around.pace.steps or step % around.pace.eval_every == 0
    if around.look and (due or any(hook.wants_loss(step) for hook in hooks)):
        looked = around.look()
        progress.now = looked.nats
        line = _with_loss(line, looked, heldout)
        if around.keep_best:
            assert line.heldout_loss is not None
            known = progress.best.get(LOSS)
            if known is None or line.heldout_loss < known.score:
                progress.best[LOSS] = Best(step=step, score=line.heldout_loss)
    progress.history.append(line)
    for hook in hooks:
        if (verdict := hook.after_step(line, progress.now)) is None:
            continue
        if verdict.best:
            progress.best[hook.name] = Best(step=step, score=verdict.score or 0.0)
        if verdict.action != "go":
            progress.ended = f"{verdict.action}: {hook.name}: {verdict.why}"
    return line


def _with_loss(line: StepLine, looked: Looked, heldout: Sequence[Row]) -> StepLine:
    means = {
        bucket: nats_per_token([looked.nats[i] for i in chosen], [heldout[i] for i in chosen]).value
        for bucket, chosen in by_bucket(heldout).items()
    }
    own = means.pop(PAIRS, None)
    if own is None:  # only replay is held out, or windows of a text: their mean is the loss
        own = nats_per_token(looked.nats, heldout).value
    found = {"heldout_loss": own, "heldout_by_bucket": means, "heldout_kl": looked.kl}
    return line.model_copy(update=found)


def _tell(around: Around, line: StepLine, batches: Sequence[Sequence[Row]], seconds: float) -> None:
    log_event(
        around.out,
        "step",
        **line.model_dump(),
        micro_tokens=max(sum(len(row.ids) for row in batch) for batch in batches),
        micro_answers=max(sum(row.n_answer for row in batch) for batch in batches),
        seconds=seconds,
        rss=resident_bytes(),
        peak_rss=peak_rss_bytes(),
    )
