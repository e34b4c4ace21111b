"""Loss over steps: training and held-out, one chart a student."""

from collections.abc import Sequence

from seemant.core.records import Record
from seemant.report.html import Html, el
from seemant.report.svg_axes import Frame, axes, chart, padded
from seemant.report.words import number


class LossLine(Record):
    """One step of `losses.jsonl`, in nats a token."""

    step: int
    loss: float | None = None
    heldout_loss: float | None = None


def loss_chart(lines: Sequence[LossLine], subject: str) -> Html | None:
    """Return the chart of a student, None without two points. Values are drawn as they are."""
    train = [(line.step, line.loss) for line in lines if line.loss is not None]
    held = [(line.step, line.heldout_loss) for line in lines if line.heldout_loss is not None]
    values = [value for _, value in (*train, *held)]
    steps = [step for step, _ in (*train, *held)]
    if len(values) < 2 or max(steps) == min(steps):
        return None
    frame = Frame(420, 250, (min(steps), max(steps)), padded(min(values), max(values)))
    dots = [
        el(
            "circle",
            el("title", f"step {step}: held-out {number(value)} nats/token"),
            cx=frame.x(step),
            cy=frame.y(value),
            r=4,
            class_="held",
        )
        for step, value in held
    ]
    return chart(
        frame,
        f"{subject}: training and held-out loss over {max(steps)} steps",
        axes(frame, "step", "loss, nats/token"),
        _line(frame, train, "train"),
        _line(frame, held, "held"),
        *dots,
    )


def _line(frame: Frame, points: Sequence[tuple[int, float]], kind: str) -> Html | None:
    if len(points) < 2:
        return None
    path = " ".join(f"{frame.x(step)},{frame.y(value)}" for step, value in points)
    return el("polyline", points=path, class_=f"loss {kind}")
