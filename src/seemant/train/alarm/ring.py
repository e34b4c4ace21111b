"""What one look at the behaviour says: quiet, a note, or the ring.

    ring   a signal has crossed its bound, and the held-out loss has fallen: what looks like
           progress is not
    note   a signal has crossed, but the loss does not look healthy either; or none has, but what is
           replayed has got worse
    quiet  none of these

A look is one line of `alarm.jsonl`. It holds no time and no rate: a rerun writes the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from seemant.core.errors import WorldError
from seemant.core.records import Record
from seemant.core.seeds import rng
from seemant.stats.sequential import Bounds
from seemant.train.alarm.paired import fall, lower_end
from seemant.train.alarm.signals import GOOD, SIGNALS, Floats, Signal, oriented

Verdict = Literal["base", "quiet", "note", "ring"]
TOLERANCE: Mapping[Signal, float] = {
    "knowledge": 0.05,
    "context": 0.06,
    "mimicry": 0.06,
    "language": 0.05,
}
"""Nats a byte that a signal may be below the base without counting as fallen: any tuning moves
them. What 95 % of the looks at five clean pilot runs of SmolLM2-135M did not fall further than
(0.012, 0.056, 0.051, 0.005), rounded up, 0.05 at least (docs/methods/alarm.md)."""


class Reading(Record):
    """One signal at one look, nats a byte: means over families as they are, then the test.

    drift: tuned minus base, turned so that a fall is negative; se: its standard error. t, p: of
    `paired.py`; where: the language that p is of, "" for all families; bound: the t below which all
    families count, limit: the drift that this t stands for. crossed: by the run's rule.
    by_family: the drift of each family. by_language: its mean in each.
    """

    value: float
    base: float
    drift: float
    se: float
    t: float | None
    p: float
    where: str = ""
    bound: float | None
    limit: float | None
    method: str
    crossed: bool
    by_language: dict[str, float]
    by_family: tuple[float, ...]


class Look(Record):
    """One look. number 0 is the untrained model, which is what all others are compared with.

    heldout_loss: nats a token of the pairs among the rows that the alarm looks at, loss_by_bucket:
    of the other buckets. loss_fell: whether the pairs' loss has fallen (`falling.py`). loss_slope,
    loss_slope_upper: over the last four looks, nats a token and step. worse: buckets whose loss is
    above look 0's. floor: of look 0, languages in which the base has nothing of a signal that could
    fall. retention: mean KL(tuned || base) on neutral text in
    nats a token: how far the model is from its base, which is shown and never rings.
    spent: how much of alpha is used. best: the step whose weights are kept as the best behaved.
    """

    number: int
    step: int
    verdict: Verdict
    rang: tuple[Signal, ...] = ()
    heldout_loss: float | None = None
    loss_by_bucket: dict[str, float] = Field(default_factory=dict)
    loss_fell: bool = False
    loss_slope: float | None = None
    loss_slope_upper: float | None = None
    worse: tuple[str, ...] = ()
    floor: dict[Signal, tuple[str, ...]] = Field(default_factory=dict)
    retention: float | None = None
    pooled: float | None = None
    pooled_low: float | None = None
    spent: float = 0.0
    best: int | None = None
    signals: dict[Signal, Reading]

    @property
    def why(self) -> str:
        """What the look says, in words."""
        parts = [self._moved(signal) for signal in self.rang]
        said = []
        if parts:
            loss = (
                "while the held-out loss has" if self.loss_fell else "and the held-out loss has not"
            )
            said.append(f"{', '.join(parts)} {loss} fallen")
        if self.worse:
            said.append(f"the held-out loss of {', '.join(self.worse)} rose")
        return "; ".join(said)

    def _moved(self, signal: Signal) -> str:
        seen = self.signals[signal]
        word = "rose" if GOOD[signal] < 0 else "fell"
        drift = seen.by_language[seen.where] if seen.where else seen.drift
        where = f" in {seen.where}" if seen.where else ""
        return f"{signal} {word} by {abs(drift):.3f} nats/byte{where}"


def readings(
    now: Mapping[Signal, Floats],
    base: Mapping[Signal, Sequence[float]],
    earlier: Mapping[Signal, Sequence[float]],
    bounds: Bounds,
    languages: Sequence[str],
    *,
    seed: int,
    step: int,
    tolerance: Mapping[Signal, float] = TOLERANCE,
) -> dict[Signal, Reading]:
    """Return the test of every signal.

    now, base: values by family. earlier: p values of the looks before, by signal. languages: of
    each family. The bootstrap draws from a stream of its own a step and signal, so a resumed run
    draws the same.

    Raises:
        WorldError: a value is not finite: the student is ruined in a way that no test can weigh.
    """
    refuse_infinite(now, step)
    found: dict[Signal, Reading] = {}
    for signal in SIGNALS:
        d = oriented(signal, now[signal], base[signal])
        test = fall(d, tolerance[signal], bounds.level, rng(seed, "alarm", signal, step), languages)
        found[signal] = Reading(
            value=float(now[signal].mean()),
            base=float(np.mean(base[signal])),
            drift=test.drift,
            se=test.se,
            t=test.t if np.isfinite(test.t) else None,
            p=test.p,
            where=test.where,
            bound=test.bound,
            limit=test.bound * test.se - tolerance[signal],
            method=test.method,
            crossed=bounds.crossed([*earlier[signal], test.p]),
            by_language={
                lang: float(d[[at for at, one in enumerate(languages) if one == lang]].mean())
                for lang in dict.fromkeys(languages)
            },
            by_family=tuple(round(float(x), 6) for x in d),
        )
    return found


def refuse_infinite(now: Mapping[Signal, Floats], step: int) -> None:
    """Refuse values that are not finite.

    Raises:
        WorldError: names the signal.
    """
    for signal, value in now.items():
        bad = np.count_nonzero(~np.isfinite(value))
        if bad:
            raise WorldError(
                f"behaviour after step {step} is not finite: {signal} of {bad} of {len(value)} "
                "families",
                where="the behaviour alarm",
                fix="lower --lr and begin again with --force; the last checkpoint is whole",
            )


def verdict(
    found: Mapping[Signal, Reading], fell: bool, worse: Sequence[str] = ()
) -> tuple[Verdict, tuple[Signal, ...]]:
    """Return what a look says, and the signals that crossed. fell: whether the loss has fallen."""
    crossed = tuple(s for s in SIGNALS if found[s].crossed)
    if not crossed:
        return ("note" if worse else "quiet"), ()
    return ("ring" if fell else "note"), crossed


def floors(
    base: Mapping[Signal, Floats], languages: Sequence[str]
) -> dict[Signal, tuple[str, ...]]:
    """Return the languages in which the base's signal is not above 0, so that it cannot fall.

    By the one-sided 95 % lower end of its mean over the families of a language, turned so that more
    is better.
    """
    named = np.asarray(languages)
    found: dict[Signal, tuple[str, ...]] = {}
    for signal in SIGNALS:
        by = {lang: GOOD[signal] * base[signal][named == lang] for lang in dict.fromkeys(languages)}
        low = [lang for lang, each in by.items() if len(each) > 1 and lower_end(each) <= 0]
        if low:
            found[signal] = tuple(low)
    return found


def base_look(
    now: Mapping[Signal, Floats],
    languages: Sequence[str],
    loss: float | None,
    by_bucket: Mapping[str, float] | None = None,
) -> Look:
    """Return look number 0: the untrained model against itself.

    Raises:
        WorldError: a value is not finite.
    """
    refuse_infinite(now, 0)
    zeros = (0.0,) * len(languages)
    found = {
        signal: Reading(
            value=float(now[signal].mean()),
            base=float(now[signal].mean()),
            drift=0.0,
            se=0.0,
            t=None,
            p=1.0,
            bound=None,
            limit=None,
            method="none: the base itself",
            crossed=False,
            by_language=dict.fromkeys(languages, 0.0),
            by_family=zeros,
        )
        for signal in SIGNALS
    }
    return Look(
        number=0,
        step=0,
        verdict="base",
        heldout_loss=loss,
        loss_by_bucket=dict(by_bucket or {}),
        floor=floors(now, languages),
        retention=0.0,
        best=0,
        signals=found,
    )
