"""One run of the loop with everything around it: adapters, optimiser, checkpoints, loss file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seemant.core.jsonl import write_records
from seemant.core.progress import progress as progress_of
from seemant.core.runlog import log_event
from seemant.train import checkpoint
from seemant.train.adapt import LoraLinear, adapt, trainable
from seemant.train.config import TrainConfig
from seemant.train.determinism import bits_depend_on
from seemant.train.loop import Progress, train
from seemant.train.render import Row
from seemant.train.student import student_of

LOSSES_NAME = "losses.jsonl"


@dataclass(frozen=True, slots=True)
class Fitted:
    """Trained adapters by layer, and what the run did."""

    adapters: dict[str, LoraLinear]
    progress: Progress
    n_parameters: int


def fit(
    model: Any,
    rows: Sequence[Row],
    heldout: Sequence[Row],
    config: TrainConfig,
    out: Path,
    *,
    belongs: Mapping[str, Any],
) -> Fitted:
    """Train adapters on `model`, in place, going on from the newest checkpoint in `out`.

    belongs: what the run is; checkpoints of another are refused. It runs under the threads and
    the generator that the caller set (`deterministic`).
    """
    student = student_of(model, config.vocab_block)
    adapters = adapt(model, config.rank, config.alpha, config.seed)
    parameters = trainable(adapters)
    # foreach and fused variants round differently on some builds; the plain loop is fixed.
    optimiser = torch.optim.AdamW(
        parameters.values(), lr=config.lr, weight_decay=config.weight_decay, foreach=False
    )
    machine = bits_depend_on(torch.get_num_threads())
    for stale in out.glob("nan_step_*.json"):
        stale.unlink()
    progress = checkpoint.resume(out, parameters, optimiser, belongs=belongs, machine=machine)
    if progress.step:
        log_event(out, "resumed", step=progress.step, bit_exact=progress.bit_exact)

    def save(state: Progress) -> None:
        checkpoint.save(out, state, parameters, optimiser, belongs=belongs, machine=machine)
        write_records(out / LOSSES_NAME, state.history)

    with progress_of("train", config.steps, "steps") as tick:
        tick(progress.step)
        train(
            student,
            parameters,
            optimiser,
            rows,
            heldout,
            config,
            progress,
            out,
            save=save,
            tick=tick,
        )
    write_records(out / LOSSES_NAME, progress.history)
    checkpoint.prune(out, keep=1)
    n = sum(parameter.numel() for parameter in parameters.values())
    return Fitted(adapters, progress, n)
