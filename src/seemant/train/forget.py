"""Ways to forget less that act between steps: a rule for KL's weight, a stop, a running mean.

The others act elsewhere: replay in `order.py`, the KL term in `objective.py`, `average` in
`save.py`, the student's own wording in `rewrite.py`, clean data in `noise.py`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seemant.train.hooks import QuietHook, Verdict
from seemant.train.lines import StepLine
from seemant.train.objective import Weight

_RATE = 0.1  # η: at 1 nat over the target the weight grows by a tenth a step


class KlRule(QuietHook):
    """λ ← λ exp(η (KL - κ)) after every step: more weight while the student is too far away."""

    name = "kl_rule"

    def __init__(self, weight: Weight, target: float) -> None:
        self.weight, self.target = weight, target

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Change the weight by the step's mean KL."""
        if line.kl is not None:
            self.weight.value *= math.exp(_RATE * (line.kl - self.target))
        return None

    def state(self) -> dict[str, Any]:
        """Return the weight."""
        return {"weight": self.weight.value}

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take the weight back."""
        self.weight.value = float(state["weight"])


class KlStop(QuietHook):
    """Stop once KL(student ‖ base) on held-out answers reaches κ: the same dose for every arm."""

    name = "kl_stop"

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def after_step(self, line: StepLine, nats: Sequence[float]) -> Verdict | None:
        """Stop where the line has a held-out KL at or over the limit."""
        if line.heldout_kl is None or line.heldout_kl < self.limit:
            return None
        why = f"KL to the base is {line.heldout_kl:.3f} nats a token, the limit {self.limit:g}"
        return Verdict(action="stop", why=why)


class RunningMean(QuietHook):
    """An exponential mean of what is trained: mean ← mean + (1 - d) / (1 - dᵗ) (p - mean).

    The factor is the usual 1 - d freed from its start: after t steps the mean weighs exactly the
    t values that were seen (Kingma and Ba, arXiv 1412.6980, section 3).
    """

    name = "ema"

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.mean = {name: each.detach().clone() for name, each in parameters.items()}

    @torch.no_grad()
    def after_update(self, step: int) -> None:
        """Move the mean towards the parameters."""
        share = (1 - self.decay) / (1 - self.decay**step)
        for name, parameter in self.parameters.items():
            self.mean[name].lerp_(parameter, share)

    def tensors(self) -> dict[str, Tensor]:
        """Return the mean."""
        return dict(self.mean)

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Take the mean back."""
        for name, mean in self.mean.items():
            mean.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the mean where the parameters are, inside the block."""
        before = {name: each.detach().clone() for name, each in self.parameters.items()}
        try:
            self._fill(self.mean)
            yield
        finally:
            self._fill(before)

    def put(self) -> None:
        """Put the mean where the parameters are, for good."""
        self._fill(self.mean)

    @torch.no_grad()
    def _fill(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
