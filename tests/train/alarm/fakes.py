"""A student whose behaviour a test sets by hand, and the rows that its loss is measured on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seemant.stats.sequential import Bounds, Rule
from seemant.train.alarm.hook import Alarm
from seemant.train.alarm.quiz import Continuation, Family, Quiz
from seemant.train.alarm.schedule import Schedule
from seemant.train.lines import StepLine
from seemant.train.rows.render import Row

N = 48
PLACES = (
    "right",
    "right_alone",
    "reply",
    "reply_astray",
    "news",
    "other",
    "wrong",
    "wrong_alone",
)


def fake_quiz() -> Quiz:
    """48 families of eight continuations, ten bytes each, in two languages."""
    families, parts = [], []
    for number in range(N):
        at = {place: len(PLACES) * number + k for k, place in enumerate(PLACES)}
        parts += [Continuation(number, (1,), 10)] * len(PLACES)
        families.append(
            Family(
                name=f"f{number}",
                lang="hi" if number % 2 else "en",
                right=at["right"],
                wrong=(at["wrong"],),
                right_alone=at["right_alone"],
                wrong_alone=(at["wrong_alone"],),
                reply=at["reply"],
                reply_astray=at["reply_astray"],
                news=at["news"],
                other=at["other"],
            )
        )
    return Quiz(tuple((i,) for i in range(N)), tuple(parts), tuple(families), ())


class FakePasses:
    """Log-likelihoods out of thin air: news gains `drift` nats a byte on every reply."""

    n_tokens = 1000

    def __init__(self, drift: Callable[[int], float]) -> None:
        self.drift, self.look = drift, 0
        self.base = np.random.default_rng(0).normal(-20, 4, N * len(PLACES))
        self.calls = 0

    def log_likelihoods(self, student: Any) -> np.ndarray:
        """What the student says at look `look`; every family differs a little."""
        self.calls += 1
        noise = np.random.default_rng(100 + self.look).normal(0, 0.2, self.base.shape)
        found = self.base + (noise if self.look else 0)
        found[PLACES.index("news") :: len(PLACES)] += 10 * self.drift(self.look)
        return found

    def neutral_hidden(self, student: Any) -> list[Any]:
        """Nothing."""
        return []

    def retention(self, student: Any, base: Sequence[Any]) -> float:
        """A figure that grows."""
        return 0.01 * self.look


def heldout(n: int = 16) -> list[Row]:
    """Held-out rows of five answer tokens, a paragraph each."""
    targets = [1] * 5 + [-100]
    return [
        Row(key=str(i), paragraph=str(i), lang="en", ids=[1] * 6, targets=targets, n_prompt=1)
        for i in range(n)
    ]


def nats(loss: float, n: int = 16, seed: int = 0) -> list[float]:
    """Nats of every held-out row at a mean loss."""
    noise = np.random.default_rng(seed).normal(0, 0.2, n)
    return (5 * loss + noise - noise.mean()).tolist()


def fake_alarm(
    out: Path,
    drift: Callable[[int], float],
    *,
    action: str = "log",
    rule: Rule = "once",
    checks: int = 10,
    again: Any = None,
    writes: bool = True,
    rows: Sequence[Row] = (),
) -> Alarm:
    """An alarm that looks at every tenth step."""
    return Alarm(
        None,  # type: ignore[arg-type]
        fake_quiz(),
        rows or heldout(),
        out,
        plan=Schedule(tuple(range(10, 10 * checks + 1, 10)), 0.01),
        bounds=Bounds(checks=checks, signals=4, rule=rule),
        action=action,
        seed=3,
        base_again=again,
        passes=FakePasses(drift),  # type: ignore[arg-type]
        writes=writes,
    )


def line(step: int, loss: float) -> StepLine:
    """The loop's line of a step."""
    return StepLine(
        step=step,
        loss=loss,
        heldout_loss=loss,
        heldout_by_bucket={"pairs": loss, "news": loss + 1},
        tokens=10,
        answer_tokens=5,
        grad_norm=1.0,
        lr=1e-3,
    )


def go_on(alarm: Alarm, losses: Sequence[float], first: int = 1) -> list[Any]:
    """Take the looks `first`, `first` + 1, ... with these losses; return the verdicts."""
    if first == 1:
        alarm.begin(nats(4.0))
    said = []
    for number, loss in enumerate(losses, start=first):
        alarm.passes.look = number  # type: ignore[attr-defined]
        said.append(alarm.after_step(line(10 * number, loss), nats(loss, seed=number)))
    return said
