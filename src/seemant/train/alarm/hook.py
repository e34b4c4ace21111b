"""The alarm as the training loop meets it: a hook that looks at fixed steps.

Its whole state (looks, base values, held-out nats of each look, what is kept as best) is JSON in
the checkpoint, so a run that was killed goes on with the alpha that it had left, and ends with the
same `alarm.jsonl`. The base's hidden states on the neutral texts are not stored: with the adapters
off, the same weights give the same states again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from seemant.core.atomic import write_atomic
from seemant.core.jsonl import write_records
from seemant.core.runlog import log_event
from seemant.stats.sequential import Bounds
from seemant.train.alarm.best import Best, chosen, pooled, untrained
from seemant.train.alarm.falling import counted, has_fallen, worse
from seemant.train.alarm.figure import behaviour_svg
from seemant.train.alarm.held import looked_at
from seemant.train.alarm.likelihoods import Passes, Scores
from seemant.train.alarm.paired import lower_end
from seemant.train.alarm.quiz import Quiz
from seemant.train.alarm.ring import TOLERANCE, Look, base_look, readings, verdict
from seemant.train.alarm.schedule import Schedule
from seemant.train.alarm.signals import SIGNALS, Floats, Signal, oriented, values
from seemant.train.heldout import answer_nats, by_bucket
from seemant.train.hooks import QuietHook, Verdict
from seemant.train.lines import StepLine
from seemant.train.rows.render import Row

ALARM_NAME = "alarm.jsonl"
FIGURE_NAME = "behaviour.svg"
_AT_ONCE = 1024  # tokens of held-out rows that are looked at together; memory only


class Alarm(QuietHook):
    """Looks at the behaviour at the steps of its schedule.

    base_again: makes a context in which the student is its own base; None where the base is gone
    (every weight is trained), and then there is no retention. heldout: all held-out rows; the loss
    is taken on some of them. writes: whether this process writes files.
    """

    name = "alarm"

    def __init__(
        self,
        student: Scores,
        asked: Quiz,
        heldout: Sequence[Row],
        out: Path,
        *,
        plan: Schedule,
        bounds: Bounds,
        action: str,
        seed: int,
        base_again: Callable[[], AbstractContextManager[Any]] | None = None,
        passes: Passes | None = None,
        tolerance: Mapping[Signal, float] = TOLERANCE,
        writes: bool = True,
    ) -> None:
        self.student, self.quiz, self.out, self.writes = student, asked, out, writes
        self.plan, self.bounds, self.action, self.seed = plan, bounds, action, seed
        self.base_again, self.tolerance = base_again, tolerance
        self.passes = passes or Passes(asked)
        self.chosen = looked_at(heldout, self.passes.n_tokens, seed)
        self.rows = [heldout[at] for at in self.chosen]
        self.looks: list[Look] = []
        self.base: dict[Signal, list[float]] = {}
        self.nats: dict[int, list[float]] = {}
        self.best: Best | None = None
        self._neutral: list[Tensor] | None = None

    @property
    def n_tokens(self) -> int:
        """How many tokens a check passes through the blocks."""
        return self.passes.n_tokens + sum(len(row.ids) for row in self.rows)

    def begin(self, nats: Sequence[float] = ()) -> Verdict:
        """Look at the untrained student: what every look is compared with, and the first best.

        nats: of each held-out row, where the loop has measured them.
        """
        start = time.perf_counter()
        self.nats = {0: self._nats(nats)}
        found = self._values()
        loss, others = self._losses(0)
        self.looks = [base_look(found, self._languages, loss, others)]
        self.base = {signal: found[signal].tolist() for signal in SIGNALS}
        self.best = untrained(len(self.quiz.families), loss)
        self._log(start)
        self._write()
        for signal, langs in self.looks[0].floor.items():
            for lang in langs:
                self._event("note", text=f"{signal} cannot fall in {lang}: the base has none")
        return Verdict(best=True, score=0.0)

    def looks_at(self, step: int) -> bool:
        """Whether the step is one of the schedule's."""
        return step in self.plan.steps

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Look, where the schedule says so; the run's action is taken at the first ring.

        The loop's held-out nats are taken where it has measured them at this step; elsewhere the
        few rows that the alarm looks at are measured here.

        Raises:
            WorldError: the behaviour is not finite.
        """
        if not self.looks_at(line.step):
            return None
        start = time.perf_counter()
        self.nats[line.step] = self._nats(nats if line.heldout_loss is not None else ())
        look = self._look(line)
        first = look.verdict == "ring" and all(each.verdict != "ring" for each in self.looks)
        self.looks.append(look)
        self._log(start)
        self._write()
        act = self.action if first and self.action in ("stop", "rollback") else "go"
        return Verdict(
            action=act,  # type: ignore[arg-type]
            best=look.best == look.step,
            score=look.pooled_low,
            why=look.why,
        )

    def state(self) -> dict[str, Any]:
        """Return looks, base values, held-out nats and the best, as JSON."""
        return {
            "looks": [look.model_dump(mode="json") for look in self.looks],
            "base": self.base,
            "nats": {str(step): nats for step, nats in self.nats.items()},
            "best": None if self.best is None else self.best.model_dump(mode="json"),
        }

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.looks = [Look.model_validate(look) for look in state["looks"]]
        self.base = {signal: state["base"][signal] for signal in SIGNALS}
        self.nats = {int(step): nats for step, nats in state["nats"].items()}
        self.best = None if state["best"] is None else Best.model_validate(state["best"])

    @property
    def _languages(self) -> list[str]:
        return [family.lang for family in self.quiz.families]

    def _values(self) -> dict[Signal, Floats]:
        return values(self.quiz, self.passes.log_likelihoods(self.student))

    def _look(self, line: StepLine) -> Look:
        now = self._values()
        found = readings(
            now,
            self.base,
            {s: [look.signals[s].p for look in self.looks[1:]] for s in SIGNALS},
            self.bounds,
            self._languages,
            seed=self.seed,
            step=line.step,
            tolerance=self.tolerance,
        )
        fell, slope = has_fallen(self.nats, self.rows)
        lost = worse(self.nats, self.rows, self.bounds.alpha / self.bounds.checks)
        said, rang = verdict(found, fell, lost)
        drifts = {s: oriented(s, now[s], self.base[s]) for s in SIGNALS}
        margin = pooled(drifts, {s: float(np.std(self.base[s], ddof=1)) for s in SIGNALS})
        loss, others = self._losses(line.step)
        assert self.best is not None
        self.best = chosen(self.best, line.step, margin, loss, bool(rang))
        number = len(self.looks)
        return Look(
            number=number,
            step=line.step,
            verdict=said,
            rang=rang,
            heldout_loss=loss,
            loss_by_bucket=others,
            loss_fell=fell,
            loss_slope=slope.value,
            loss_slope_upper=slope.upper,
            worse=lost,
            retention=self._retention(),
            pooled=float(margin.mean()),
            pooled_low=lower_end(margin),
            spent=self.bounds.spent(number),
            best=self.best.step,
            signals=found,
        )

    def _nats(self, measured: Sequence[float]) -> list[float]:
        """Return the nats of the alarm's rows. measured: of all held-out rows, none: not yet."""
        if measured:
            return [measured[at] for at in self.chosen]
        return answer_nats(self.student, self.rows, _AT_ONCE)  # type: ignore[arg-type]

    def _losses(self, step: int) -> tuple[float, dict[str, float]]:
        """Return the pairs' loss in nats a token, and that of the other buckets."""
        own = counted(self.rows)
        others = {
            bucket: self._mean(step, chosen)
            for bucket, chosen in by_bucket(self.rows).items()
            if chosen[0] not in own
        }
        return self._mean(step, own), others

    def _mean(self, step: int, chosen: Sequence[int]) -> float:
        nats = self.nats[step]
        return sum(nats[at] for at in chosen) / sum(self.rows[at].n_answer for at in chosen)

    def _retention(self) -> float | None:
        if self.base_again is None:
            return None
        if self._neutral is None:
            with self.base_again():
                self._neutral = self.passes.neutral_hidden(self.student)
        return self.passes.retention(self.student, self._neutral)

    def _log(self, start: float) -> None:
        look = self.looks[-1]
        self._event(
            "check",
            step=look.step,
            number=look.number,
            checks=self.bounds.checks,
            verdict=look.verdict,
            why=look.why,
            tokens=self.n_tokens,
            seconds=time.perf_counter() - start,
            planned_share=self.plan.share,
        )

    def _event(self, kind: str, **facts: Any) -> None:
        if self.writes:
            log_event(self.out, kind, **facts)

    def _write(self) -> None:
        if self.writes:
            write_records(self.out / ALARM_NAME, self.looks)
            write_atomic(self.out / FIGURE_NAME, behaviour_svg(self.looks))
