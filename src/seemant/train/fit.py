"""One run of the loop with everything around it: adapters, optimiser, hooks, checkpoints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seemant.core.jsonl import write_records
from seemant.core.progress import progress as progress_of
from seemant.core.runlog import log_event
from seemant.train import checkpoint
from seemant.train.adapt import Dropout, LoraLinear, adapt, trainable
from seemant.train.checkpoint import Kept
from seemant.train.config import TrainConfig
from seemant.train.forget import KlRule, KlStop, RunningMean
from seemant.train.heldout import answer_nats, base_kl
from seemant.train.hooks import Hook
from seemant.train.lines import Best, Progress
from seemant.train.loop import LOSS, Around, Looked, train
from seemant.train.objective import Losses, Weight, answers_only, near_base, own_losses
from seemant.train.optim import Pace, make_optimiser
from seemant.train.rows.order import Cut, Order
from seemant.train.rows.render import REPLAY, Row
from seemant.train.scale.world import Lone, World
from seemant.train.step import Trainee
from seemant.train.student import LossSettings, Student
from seemant.train.track import tracker

LOSSES_NAME = "losses.jsonl"
ALARM = "alarm"  # the name of the hook that looks at behaviour

MakeHooks = Callable[[Student, dict[str, LoraLinear], int], list[Hook]]
"""From the student, its adapters and the number of steps to hooks."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained student and what the run did.

    adapters: by layer; {} for a student whose every weight was trained. kl: summed KL to the base
    of each held-out answer in nats, None without a base to compare with.
    """

    student: Student
    adapters: dict[str, LoraLinear]
    parameters: dict[str, nn.Parameter]
    progress: Progress
    kl: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run belongs to and who else takes part.

    belongs, machine: see `checkpoint.Kept`. more_hooks: makes hooks once student and adapters are
    there (the behaviour alarm); its last argument is the number of steps. losses: of each token,
    another than the answers' own (a teacher's). optimiser: another than the config's. fill: see
    `Student`. stop: asked after every step.
    """

    belongs: Mapping[str, Any]
    machine: Mapping[str, Any]
    world: World = field(default_factory=Lone)
    more_hooks: MakeHooks = lambda *_: []
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] | None = None
    losses: Losses = own_losses
    fill: int = 1
    stop: Callable[[], bool] = lambda: False


def fit(
    decoder: Any,
    rows: Sequence[Row],
    heldout: Sequence[Row],
    config: TrainConfig,
    out: Path,
    around: Surroundings,
) -> Fitted:
    """Train `decoder` in place, going on from the newest checkpoint in `out`.

    It runs under the threads and the generator that the caller set (`deterministic`). What is in
    place afterwards is what is to be saved: the last weights, their running mean or the best.
    """
    dropout = Dropout(config.dropout, config.seed)
    adapters = {}
    if config.method != "full":
        adapters = adapt(decoder, config.method, config.rank, config.alpha, config.seed, dropout)
    if config.memory_limit is None:  # a limit is on this process's own memory: it stays there
        around.world.place(decoder)
    device = str(decoder.head_weight.device)
    parameters = trainable(adapters) or dict(decoder.named_parameters())
    student = Student(decoder, loss_settings(decoder, config), around.fill)
    order = Order([len(row.ids) for row in rows], cut_of(rows, config), config.seed)
    pace = pace_of(config, order)
    weight = Weight(config.kl_base)
    objective = answers_only(student, around.losses)
    if config.kl_base:
        objective = near_base(student, adapters, weight, around.losses)
    mean = RunningMean(parameters, config.ema) if config.ema is not None else None
    hooks = [*([mean] if mean else []), *_rules(config, weight)]
    hooks += around.more_hooks(student, adapters, pace.steps)
    writes = around.world.rank == 0
    hooks += tracker(config.track, out, config) if writes else []
    if around.optimiser is not None:
        optimiser = around.optimiser(parameters.values())
    else:
        optimiser = make_optimiser(
            config.optimiser, parameters.values(), lr=config.lr, weight_decay=config.weight_decay
        )
    kept = Kept(parameters, optimiser, around.belongs, around.machine, hooks)
    progress = checkpoint.resume(out, kept)
    if writes:
        log_event(out, "device", device=device)
        for stale in out.glob("nan_step_*.json"):
            stale.unlink()
        if progress.step:
            log_event(out, "resumed", step=progress.step, bit_exact=progress.bit_exact)

    def look() -> Looked:
        nats = answer_nats(student, heldout, pace.eval_tokens)
        if config.kl_stop is None:
            return Looked(nats)
        kl = base_kl(student, adapters, heldout, pace.eval_tokens)
        return Looked(nats, sum(kl) / sum(row.n_answer for row in heldout))

    def save(state: Progress) -> None:
        if writes:
            checkpoint.save(out, state, kept, config.keep_checkpoints)
            write_records(out / LOSSES_NAME, state.history)

    shown = progress_of(f"train on {device}", pace.steps, "steps")
    with shown if writes else nullcontext(_silent) as tick:
        tick(progress.step)
        train(
            Trainee(parameters, objective, optimiser, dropout),
            rows,
            heldout,
            order,
            progress,
            Around(
                pace=pace,
                out=out,
                world=around.world,
                look=look if heldout else None,
                save=save,
                hooks=hooks,
                keep_best=config.keep == "best-loss",
                as_saved=mean.in_place if mean else nullcontext,
                tick=tick,
                stop=around.stop,
            ),
        )
    changed = _take_kept(out, config, progress, parameters, mean)
    for module in adapters.values():
        module.scale *= config.average
    if heldout and (changed or config.average != 1.0):
        progress.now = answer_nats(student, heldout, pace.eval_tokens)
    kl = base_kl(student, adapters, heldout, pace.eval_tokens) if adapters and heldout else None
    if writes:
        if changed:
            log_event(out, "kept", **changed.model_dump())
        write_records(out / LOSSES_NAME, progress.history)
        best = [each.step for each in progress.best.values()]
        checkpoint.prune(out, 1, also=best)
    return Fitted(student, adapters, parameters, progress, kl)


def loss_settings(decoder: Any, config: TrainConfig) -> LossSettings:
    """Return how the student's head is read."""
    return LossSettings(
        vocab_block=config.vocab_block,
        softcap=decoder.shape.softcap,
        smoothing=config.label_smoothing,
        z_loss=config.z_loss,
    )


def cut_of(rows: Sequence[Row], config: TrainConfig) -> Cut:
    """Return how the rows are cut into micro-batches; rows of the replay bucket stand last."""
    own = sum(row.bucket != REPLAY for row in rows)
    return Cut(
        batch=config.batch,
        pack=config.pack,
        replay=config.replay,
        replay_from=own if own < len(rows) else None,
    )


def pace_of(config: TrainConfig, order: Order) -> Pace:
    """Return the pace that the settings ask for over this data."""
    steps = config.steps
    if steps is None:
        assert config.epochs is not None
        steps = order.steps_in(config.epochs, config.accumulation)
    longest = max(order.lengths)
    return Pace(
        steps=steps,
        accumulation=config.accumulation,
        lr=config.lr,
        schedule=config.schedule,
        warmup=config.warmup,
        clip=config.clip,
        eval_every=config.eval_every,
        save_every=config.save_every,
        eval_tokens=max(config.pack, longest) if config.pack else config.batch * longest,
    )


def _rules(config: TrainConfig, weight: Weight) -> list[Hook]:
    hooks: list[Hook] = []
    if config.kl_target is not None:
        hooks.append(KlRule(weight, config.kl_target))
    if config.kl_stop is not None:
        hooks.append(KlStop(config.kl_stop))
    return hooks


def _take_kept(
    out: Path,
    config: TrainConfig,
    progress: Progress,
    parameters: Mapping[str, nn.Parameter],
    mean: RunningMean | None,
) -> Best | None:
    """Put the weights that are to be saved in place; return the best, where it is not the last."""
    by = {"best-loss": LOSS, "best-behaviour": ALARM}.get(config.keep)
    by = ALARM if progress.ended.startswith("rollback") else by
    best = progress.best.get(by) if by else None
    if best is None or best.step == progress.step:
        if mean is not None:
            mean.put()
        return None
    checkpoint.load_weights(out, best.step, parameters, mean.name if mean else None)
    return best


def _silent(*_: object) -> None:
    """Show no progress: rank 0 does."""
