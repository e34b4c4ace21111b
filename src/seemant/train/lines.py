"""What a run says of itself: a line a step, and everything it has done so far."""

from dataclasses import dataclass, field

from pydantic import Field

from seemant.core.records import Record


class StepLine(Record):
    """One line of `losses.jsonl`; step 0 is the untrained model and has no training loss.

    loss: mean cross-entropy of the step's answer tokens in nats, before its update, and by bucket.
    heldout_loss: nats a token after the update, of the held-out pairs (other buckets beside it),
    where it was measured. grad_norm: before clipping. kl: mean KL to the base in the step, where
    it is part of the loss. minimised: mean of what the step minimised: the cross-entropy and all
    that was added to it. tokens, answer_tokens: of this step.
    """

    step: int
    loss: float | None
    loss_by_bucket: dict[str, float] = Field(default_factory=dict)
    heldout_loss: float | None = None
    heldout_by_bucket: dict[str, float] = Field(default_factory=dict)
    heldout_kl: float | None = None
    kl: float | None = None
    tokens: int
    answer_tokens: int
    grad_norm: float | None
    lr: float
    minimised: float | None = None


class Best(Record):
    """The step whose weights were best so far by one measure, and its figure."""

    step: int
    score: float


@dataclass(slots=True)
class Progress:
    """What a run has done so far; with what is trained, its optimiser and hooks, a checkpoint.

    before, now: nats of each held-out row under the untrained model and at the last look.
    best: by the measure's name, "loss" or a hook's; those steps' checkpoints are never pruned.
    ended: why the run ended before its last step; "" where it did not.
    bit_exact: no part of it ran with other threads, versions or CPU than the rest.
    """

    step: int = 0
    before: list[float] = field(default_factory=list)
    now: list[float] = field(default_factory=list)
    history: list[StepLine] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    ended: str = ""
    bit_exact: bool = True
