"""A run can be shown in other tools; without them it says what to install."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seemant.core.errors import BadConfig
from seemant.train.config import TrainConfig
from seemant.train.lines import StepLine
from seemant.train.track import numbers, tracker

LINE = StepLine(
    step=3, loss=1.5, loss_by_bucket={"pairs": 1.0, "replay": 2.0}, heldout_loss=None, tokens=9,
    answer_tokens=4, grad_norm=0.5, lr=0.1,
)  # fmt: skip
NUMBERS = {
    "loss": 1.5, "loss/pairs": 1.0, "loss/replay": 2.0, "tokens": 9.0, "answer_tokens": 4.0,
    "grad_norm": 0.5, "lr": 0.1,
}  # fmt: skip


def test_a_line_is_its_numbers_by_name() -> None:
    assert numbers(LINE) == NUMBERS


def test_nothing_is_tracked_unless_asked(tmp_path: Path) -> None:
    assert tracker(None, tmp_path, TrainConfig()) == []


@pytest.mark.parametrize("tool", ["mlflow", "tensorboard"])
def test_a_missing_tool_is_named_with_its_install(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BadConfig, match=f"{tool} is not installed") as caught:
        tracker(tool, tmp_path, TrainConfig())
    assert "pip install" in str(caught.value)


def test_mlflow_gets_the_settings_once_and_every_step_and_a_resumed_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    fake = SimpleNamespace(
        set_experiment=lambda name: calls.append(("experiment", name)),
        start_run=lambda run_id, run_name: (
            calls.append(("run", run_id)) or SimpleNamespace(info=SimpleNamespace(run_id="r1"))
        ),
        log_params=lambda params: calls.append(("params", params["rank"])),
        log_metrics=lambda values, step: calls.append(("metrics", step, values)),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    (hook,) = tracker("mlflow", tmp_path, TrainConfig(rank=5))
    hook.after_step(LINE, [])
    assert calls == [
        ("experiment", "seemant"), ("run", None), ("params", 5), ("metrics", 3, NUMBERS),
    ]  # fmt: skip
    calls.clear()
    tracker("mlflow", tmp_path, TrainConfig(rank=5))
    assert calls == [("experiment", "seemant"), ("run", "r1")]


def test_tensorboard_gets_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, tuple[float, int]] = {}

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / ".tensorboard")

        def add_scalar(self, name: str, value: float, step: int) -> None:
            seen[name] = (value, step)

        def flush(self) -> None: ...

    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer)
    )
    (hook,) = tracker("tensorboard", tmp_path, TrainConfig())
    hook.after_step(LINE, [])
    assert seen == {name: (value, 3) for name, value in NUMBERS.items()}
