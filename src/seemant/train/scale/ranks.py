"""A run under a launcher: every rank runs the same command, rank 0 makes the artefact.

    accelerate launch --num_processes 2 -m seemant train MODEL PAIRS --accumulation 4

The ranks meet before any of them looks at the artefact's folder. Rank 0 goes through the stage as
always: it locks the folder, writes and measures, and says whether there is anything to train. The
others wait for its word; then they read the same inputs and checkpoints, take their micro-batches
and write nothing. torch is not imported here before a run begins.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seemant.core.errors import InputError
from seemant.core.measurement import Measurement
from seemant.core.stage import Done, Inputs, Stage, execute, identity
from seemant.train.config import TrainConfig

_TRAIN, _LEAVE = "train", "leave"  # what rank 0 says to the others
_CHECKPOINTS = ".checkpoints"


def under_launcher(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a launcher started more than this one process."""
    return environment.get("WORLD_SIZE", "1") != "1"


def execute_ranks(
    stage: Stage[Any],
    config: TrainConfig,
    inputs: Inputs,
    *,
    store: Path,
    out: Path | None = None,
    force: bool = False,
) -> Done | None:
    """Do on every rank what `execute` does for a process alone; None on those that follow.

    Rank 0 alone decides: where the artefact is there already, or its folder is refused, the
    others leave. With `force` they wait until the old artefact is gone.

    Raises:
        InputError, WorldError: as `train_ranks`; on rank 0 also what `execute` raises.
    """
    _refuse_limit(config)
    from seemant.train.scale.device import device_of_environment
    from seemant.train.scale.processes import ProcessWorld, wants_shards, world_here

    with world_here(device_of_environment(), shards=wants_shards()) as world:
        assert isinstance(world, ProcessWorld)
        if not world.is_main:
            if world.from_main() == _TRAIN:
                folder = out or store / stage.name / identity(stage, config, inputs)
                train_ranks(config, inputs, folder)
            return None
        said = False

        def run(config: TrainConfig, inputs: Inputs, folder: Path) -> list[Measurement]:
            nonlocal said
            said = True
            world.from_main(_TRAIN)
            return train_ranks(config, inputs, folder)

        try:
            led = replace(stage, run=run)
            return execute(led, config, inputs, store=store, out=out, force=force)
        finally:
            if not said:
                world.from_main(_LEAVE)


def train_ranks(config: TrainConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Train with all ranks of the launcher; return the measurements on rank 0, [] elsewhere.

    Raises:
        InputError: the settings or the folder do not fit several ranks, or the training's own.
        WorldError: the ranks cannot reach each other, or the training's own.
    """
    _refuse_limit(config)
    from seemant.train.scale.device import device_of_environment
    from seemant.train.scale.processes import wants_shards, world_here
    from seemant.train.scale.shard import check_even
    from seemant.train.session import train_session

    with world_here(device_of_environment(), shards=wants_shards()) as world:
        if wants_shards():
            check_even(config.accumulation, world.size)
        _check_same(world, config, inputs, out)
        config = config.model_copy(update={"compute": _compute(world, config)})
        return train_session(config, inputs, out, world=world)


def _compute(world: object, config: TrainConfig) -> str:
    """Return the number type of all ranks: what rank 0's machine gains by."""
    from seemant.train.compute import compute_here
    from seemant.train.scale.processes import ProcessWorld

    if not isinstance(world, ProcessWorld):
        return compute_here(config.compute, gpu=True)
    return str(world.from_main(compute_here(config.compute, gpu=True) if world.is_main else ""))


def _refuse_limit(config: TrainConfig) -> None:
    if config.memory_limit is not None:
        raise InputError(
            "a memory limit holds one process, and this run has several ranks",
            where="--memory-limit",
            fix="leave it out under a launcher; plan one rank with `seemant train --plan`",
        )


def _check_same(world: object, config: TrainConfig, inputs: Inputs, out: Path) -> None:
    """Refuse ranks that see different settings, inputs or checkpoints: they would drift apart."""
    from seemant.train.scale.processes import ProcessWorld

    if not isinstance(world, ProcessWorld):
        return
    asked = [config.model_dump_json(), *sorted(f"{r}={i.sha256}" for r, i in inputs.items())]
    if not world.same_everywhere("\n".join(asked)):
        raise InputError(
            "the ranks were given different settings or inputs",
            fix="start all of them with one command",
        )
    seen = sorted(path.name for path in (out / _CHECKPOINTS).glob("step_*"))
    if not world.same_everywhere("\n".join(seen)):
        raise InputError(
            "the ranks see different checkpoints",
            where=str(out),
            fix="put the run folder on storage that all nodes share",
        )
