"""Showing a run in another tool: MLflow or TensorBoard, where they are installed and asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seemant.core.config import Config
from seemant.core.errors import BadConfig
from seemant.train.hooks import Hook, QuietHook, Verdict
from seemant.train.lines import StepLine

Send = Callable[[int, dict[str, float]], None]


def tracker(tool: str | None, out: Path, config: Config) -> list[Hook]:
    """Return the hook that sends every step to a tool; none where none is asked for.

    Raises:
        BadConfig: the tool is not installed.
    """
    if tool is None:
        return []
    make = {"mlflow": _mlflow, "tensorboard": _tensorboard}[tool]
    try:
        return [Tracker(make(out, config.model_dump(mode="json")))]
    except ImportError as error:
        extra = "seemant[track]" if tool == "mlflow" else tool
        raise BadConfig(
            f"{tool} is not installed", where="--track", fix=f"pip install '{extra}'"
        ) from error


class Tracker(QuietHook):
    """Sends the numbers of every step; what it has sent is not part of the run's state."""

    name = "track"

    def __init__(self, send: Send) -> None:
        self.send = send

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Send the line's numbers."""
        self.send(line.step, numbers(line))
        return None


def numbers(line: StepLine) -> dict[str, float]:
    """Return a line's numbers by name; losses of buckets as "loss/BUCKET"."""
    found: dict[str, float] = {}
    for key, value in line.model_dump(exclude={"step"}).items():
        if isinstance(value, dict):
            stem = key.removesuffix("_by_bucket")
            found |= {f"{stem}/{bucket}": float(each) for bucket, each in value.items()}
        elif value is not None:
            found[key] = float(value)
    return found


def _mlflow(out: Path, settings: dict[str, Any]) -> Send:
    import mlflow  # type: ignore[import-not-found, unused-ignore]

    mlflow.set_experiment("seemant")
    # One run a folder: a resumed run goes on in the same one.
    known = out / ".mlflow"
    run_id = known.read_text(encoding="utf-8") if known.is_file() else None
    run = mlflow.start_run(run_id=run_id, run_name=out.name)
    known.write_text(run.info.run_id, encoding="utf-8")
    if run_id is None:
        mlflow.log_params(settings)
    return lambda step, values: mlflow.log_metrics(values, step=step)


def _tensorboard(out: Path, settings: dict[str, Any]) -> Send:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(out / ".tensorboard"))

    def send(step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return send
