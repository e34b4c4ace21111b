"""The same run as a Ray Train job: Ray places the workers and makes torch's group, we do the rest.

    from seemant.core.stage import execute
    from seemant.train.scale.ray_train import ray_stage
    execute(ray_stage(4), config, inputs, store=Path("runs"))

The artefact, its identity and its checkpoints are those of any run: a job that Ray starts again
goes on from `out/.checkpoints`, with the same checks. `out` must lie on storage that all workers
share. Ray is imported when a job starts (extra `ray`).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from seemant.core.errors import BadConfig, WorldError
from seemant.core.measurement import Measurement
from seemant.core.stage import Input, Inputs, Stage
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE


def ray_stage(n_workers: int, *, use_gpu: bool = False) -> Stage[TrainConfig]:
    """Return the train stage, carried out by that many Ray workers."""
    return replace(STAGE, run=partial(train_with_ray, n_workers=n_workers, use_gpu=use_gpu))


def train_with_ray(
    config: TrainConfig, inputs: Inputs, out: Path, *, n_workers: int, use_gpu: bool = False
) -> list[Measurement]:
    """Train as a Ray job and return what its rank 0 measured.

    Raises:
        BadConfig: Ray is not installed. WorldError: the job failed, or reported nothing.
    """
    try:
        ray, torch = import_module("ray.train"), import_module("ray.train.torch")
    except ImportError as error:
        raise BadConfig(
            "Ray Train is not installed",
            fix="pip install 'seemant[ray]', or start the ranks with `accelerate launch`",
        ) from error
    trainer = torch.TorchTrainer(
        work,
        train_loop_config=job_of(config, inputs, out),
        scaling_config=ray.ScalingConfig(num_workers=n_workers, use_gpu=use_gpu),
        run_config=ray.RunConfig(name=out.name, storage_path=str(out.resolve() / ".ray")),
    )
    result = trainer.fit()
    if result.error is not None:
        raise WorldError(
            f"the Ray job failed: {result.error}",
            where=str(out),
            fix="look at the worker's log; the same call goes on from the last checkpoint",
        )
    said = (result.metrics or {}).get("measurements")
    if said is None:
        raise WorldError("the Ray job ended without a report", where=str(out), fix="run it again")
    return [Measurement.model_validate(each) for each in said]


def job_of(config: TrainConfig, inputs: Inputs, out: Path) -> dict[str, Any]:
    """Return a job as plain values, which travel to the workers."""
    return {
        "config": config.given(),
        "inputs": {
            role: {"path": str(given.path.resolve()), "label": given.label, "sha256": given.sha256}
            for role, given in inputs.items()
        },
        "out": str(out.resolve()),
    }


def work(job: Mapping[str, Any]) -> None:
    """Be one worker: train with the others, report what rank 0 measured."""
    from seemant.train.scale.ranks import train_ranks

    inputs = {
        role: Input(Path(said["path"]), said["label"], said["sha256"])
        for role, said in job["inputs"].items()
    }
    config = TrainConfig.model_validate(job["config"])
    found = train_ranks(config, inputs, Path(job["out"]))
    # Every worker reports, Ray waits for all of them; it keeps what rank 0 said.
    import_module("ray.train").report(
        {"measurements": [each.model_dump(mode="json") for each in found]}
    )
