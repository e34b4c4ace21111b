"""The Ray entry speaks TorchTrainer's interface; here a stand-in for Ray calls the workers."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from seemant.core.errors import BadConfig, WorldError
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Input, Inputs
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from seemant.train.scale.ray_train import ray_stage, train_with_ray


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return {"model": Input(tmp_path / "model.gguf", "path:model.gguf", "abc")}


def stand_in(monkeypatch: pytest.MonkeyPatch, *, error: Exception | None = None) -> dict[str, Any]:
    """Put a `ray` in place that runs the loop in this process; return what it was given."""
    seen: dict[str, Any] = {}

    class TorchTrainer:
        def __init__(self, loop: Callable[[Any], None], **given: Any) -> None:
            self.loop, seen["given"] = loop, given

        def fit(self) -> SimpleNamespace:
            if error is None:  # what travels must survive a process's border
                self.loop(json.loads(json.dumps(seen["given"]["train_loop_config"])))
            return SimpleNamespace(error=error, metrics=seen.get("report"))

    ray, train, torch = ModuleType("ray"), ModuleType("ray.train"), ModuleType("ray.train.torch")
    for name in ("RunConfig", "ScalingConfig"):
        setattr(train, name, lambda **given: SimpleNamespace(**given))
    train.report = lambda metrics: seen.update(report=metrics)
    torch.TorchTrainer = TorchTrainer
    for module in (ray, train, torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return seen


def test_a_job_trains_with_the_same_settings_and_gives_back_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inputs: Inputs
) -> None:
    seen = stand_in(monkeypatch)
    asked = []

    def session(config: TrainConfig, given: Inputs, out: Path) -> list[Measurement]:
        asked.append((config, dict(given), out))
        return [exact("student", "steps", 3, "count")]

    monkeypatch.setattr("seemant.train.scale.ranks.train_ranks", session)
    config = TrainConfig(steps=3, rank=4)
    found = train_with_ray(config, inputs, tmp_path, n_workers=2)
    assert [(each.metric, each.value) for each in found] == [("steps", 3)]
    assert asked == [(config, dict(inputs), tmp_path)]
    assert seen["given"]["scaling_config"].num_workers == 2
    assert not seen["given"]["scaling_config"].use_gpu


def test_a_job_that_failed_says_what_goes_on_from_its_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inputs: Inputs
) -> None:
    stand_in(monkeypatch, error=RuntimeError("a node went away"))
    with pytest.raises(WorldError, match="a node went away") as caught:
        train_with_ray(TrainConfig(), inputs, tmp_path, n_workers=2)
    assert "checkpoint" in str(caught.value.fix)


def test_without_ray_the_other_launcher_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inputs: Inputs
) -> None:
    monkeypatch.setitem(sys.modules, "ray.train", None)
    with pytest.raises(BadConfig) as caught:
        train_with_ray(TrainConfig(), inputs, tmp_path, n_workers=2)
    assert "accelerate launch" in str(caught.value.fix)


def test_the_stage_is_the_same_question_however_it_is_carried_out() -> None:
    other = ray_stage(4)
    assert (other.name, other.version, other.roles) == (STAGE.name, STAGE.version, STAGE.roles)
    assert other.run is not STAGE.run
