"""A run under a launcher: every rank calls `train_ranks`, rank 0 from inside its stage.

    accelerate launch --num_processes 2 -m seemant train MODEL PAIRS --accumulation 4

Rank 0 goes through the stage as always: it locks the artefact's folder, writes and measures. The
others `follow`: they read the same inputs and the same checkpoints, take their micro-batches and
write nothing. torch is not imported here before a run begins.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from seemant.core.errors import InputError
from seemant.core.manifest import is_whole
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs
from seemant.train.config import TrainConfig

_CHECKPOINTS = ".checkpoints"


def under_launcher(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a launcher started more than this one process."""
    return environment.get("WORLD_SIZE", "1") != "1"


def is_follower(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is a rank that writes nothing."""
    return under_launcher(environment) and environment.get("RANK", "0") != "0"


def train_ranks(config: TrainConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Train with all ranks of the launcher; return the measurements on rank 0, [] elsewhere.

    Raises:
        InputError: the settings or the folder do not fit several ranks, or the training's own.
        WorldError: the ranks cannot reach each other, or the training's own.
    """
    if config.memory_limit is not None:
        raise InputError(
            "a memory limit holds one process, and this run has several ranks",
            where="--memory-limit",
            fix="leave it out under a launcher; plan one rank with `seemant train --plan`",
        )
    from seemant.train.scale import device_of_environment, wants_shards, world_here
    from seemant.train.scale_shard import check_even
    from seemant.train.session import train_session

    with world_here(device_of_environment(), shards=wants_shards()) as world:
        if wants_shards():
            check_even(config.accumulation, world.size)
        _check_same(world, config, inputs, out)
        return train_session(config, inputs, out, world=world)


def follow(config: TrainConfig, inputs: Inputs, out: Path) -> None:
    """Take part in the run whose artefact is `out`; an artefact that is whole needs nobody.

    Raises:
        InputError, WorldError: as `train_ranks`.
    """
    if not is_whole(out):
        train_ranks(config, inputs, out)


def _check_same(world: object, config: TrainConfig, inputs: Inputs, out: Path) -> None:
    """Refuse ranks that see different settings, inputs or checkpoints: they would drift apart."""
    from seemant.train.scale import ProcessWorld

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
