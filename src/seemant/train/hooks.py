"""What looks on, or takes part, after every optimiser step: the alarm, the running mean, KL's rule.

A hook has a state of numbers and words, and tensors; both go into every checkpoint, so that a run
that was killed goes on with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from seemant.train.lines import StepLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a hook says after a step.

    action: go on; stop here with these weights; or stop and take back those that were best.
    best: these weights are the best so far by what the hook looks at: they are kept, and known
        by the hook's name.
    score: the figure behind `best`. why: for the log and the user.
    """

    action: Literal["go", "stop", "rollback"] = "go"
    best: bool = False
    score: float | None = None
    why: str = ""


class Hook(Protocol):
    """Something that is called after every step."""

    name: str

    def wants_loss(self, step: int) -> bool:
        """Whether it needs the held-out loss of this step (it is in the line then)."""

    def after_update(self, step: int) -> None:
        """Take part in step number `step` (from 1), before anything looks at the student."""

    def begin(self, nats: Sequence[float]) -> Verdict | None:
        """Look at the untrained student; called once before step 1, not where a run goes on.

        nats: of each held-out row. A verdict may say that these weights are the best so far.
        """

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Look at the student after `line.step` steps; None means go on.

        nats: of each held-out row at the last look, which was at this step where the line has a
        held-out loss.
        """

    def state(self) -> dict[str, Any]:
        """Return what must survive a kill, as JSON."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that must survive a kill."""

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take back what `state` and `tensors` gave."""


class QuietHook:
    """A hook that has no state and never stops anything: what others begin from."""

    name = "quiet"

    def wants_loss(self, step: int) -> bool:
        """Ask for no held-out loss."""
        return False

    def after_update(self, step: int) -> None:
        """Take no part."""

    def begin(self, nats: Sequence[float]) -> Verdict | None:
        """Need no look at the untrained student."""
        return None

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Let the run go on."""
        return None

    def state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take back nothing."""
