"""An alarm before there is a model: its texts as token ids, and the hook that a run makes of them.

It is prepared while a tokenizer is here, which is then free before the weights come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seemant.core.errors import InputError
from seemant.core.records import Lang
from seemant.stats.sequential import Bounds
from seemant.train.adapt import LoraLinear, adapters_off
from seemant.train.alarm.held import looked_at
from seemant.train.alarm.hook import Alarm
from seemant.train.alarm.likelihoods import Passes, Scores
from seemant.train.alarm.probes import dealt
from seemant.train.alarm.quiz import Quiz, Renders, quiz
from seemant.train.alarm.schedule import schedule
from seemant.train.alarm.signals import SIGNALS
from seemant.train.config import TrainConfig
from seemant.train.rows.render import Row
from seemant.train.scale.world import World


def prepare(
    config: TrainConfig, form: Renders, heldout: Sequence[Row], out: Path, languages: Sequence[Lang]
) -> "Prepared | None":
    """Return the alarm's texts as token ids, None where it is off.

    It is called before the model is loaded, and keeps no tokenizer.

    Raises:
        InputError: no pair is held out, so there is no loss to hold the behaviour against.
    """
    if config.alarm == "off":
        return None
    if not heldout:
        raise InputError(
            "the alarm compares behaviour with the held-out loss, and no pair is held out",
            where="--heldout-share",
            fix="set a share above 0, or --alarm off",
        )
    asked = quiz(dealt(languages), form)
    return Prepared(config, asked, Passes(asked), heldout, out)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything of an alarm but the model."""

    config: TrainConfig
    quiz: Quiz
    passes: Passes
    heldout: Sequence[Row]
    out: Path

    def hook(
        self,
        student: Scores,
        adapters: Mapping[str, LoraLinear],
        total_steps: int,
        step_tokens: float,
        *,
        world: World,
    ) -> Alarm:
        """Return the hook of a run. adapters: empty where every weight is trained.

        step_tokens: mean tokens of an optimiser step, of all ranks together. world: only its rank 0
        writes; all make the same checks.
        """
        rows = looked_at(self.heldout, self.passes.n_tokens, self.config.seed)
        plan = schedule(
            total_steps,
            self.config.checks,
            check_tokens=self.passes.n_tokens + sum(len(self.heldout[at].ids) for at in rows),
            step_tokens=step_tokens / world.size,
        )
        rule = self.config.alarm_rule
        return Alarm(
            student,
            self.quiz,
            self.heldout,
            self.out,
            plan=plan,
            bounds=Bounds(checks=len(plan.steps), signals=len(SIGNALS), rule=rule),
            action=self.config.alarm,
            seed=self.config.seed,
            base_again=(lambda: adapters_off(adapters)) if adapters else None,
            passes=self.passes,
            writes=world.rank == 0,
        )
