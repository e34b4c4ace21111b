"""Optimisers by name, all from kept libraries, and the learning rate of every step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from seemant.core.errors import BadConfig

Schedule = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a run goes: steps, learning rate, clipping, and how often it looks and saves.

    accumulation: micro-batches of a step. clip: largest gradient norm, None: any.
    eval_tokens: tokens of held-out rows that are looked at together.
    """

    steps: int
    accumulation: int
    lr: float
    schedule: Schedule = "cosine"
    warmup: int = 0
    clip: float | None = 1.0
    eval_every: int = 20
    save_every: int = 10
    eval_tokens: int = 512


def learning_rate(step: int, pace: Pace) -> float:
    """Return the rate of optimiser step `step` (from 0): a line up, then as the schedule says.

    With t the share of the steps after the warm-up that is done: lr · (1 + cos πt) / 2, or
    lr · (1 - t), or lr.
    """
    if step < pace.warmup:
        return pace.lr * (step + 1) / pace.warmup
    done = (step - pace.warmup) / max(1, pace.steps - pace.warmup)
    if pace.schedule == "cosine":
        return pace.lr * 0.5 * (1 + math.cos(math.pi * done))
    return pace.lr * (1 - done) if pace.schedule == "linear" else pace.lr


def make_optimiser(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """Return the optimiser of that name: adamw, adamw8bit, lion or adafactor.

    Only matrices decay: gains of norms and DoRA's lengths have no reason to be small.

    AdamW is torch's. The 8-bit AdamW (Dettmers et al., arXiv 2110.02861; moments in 8 bits by
    blocks of 256, tensors under 4,096 elements in 32) and Lion (Chen et al., arXiv 2302.06675)
    are bitsandbytes', on CPU and GPU. Adafactor (Shazeer and Stern, arXiv 1804.04235) is
    transformers', with the rate as given: scaled by a matrix's own size, B = 0 would not move.

    Raises:
        BadConfig: the library is not installed.
    """
    given = list(parameters)
    groups = [
        {"params": [each for each in given if each.ndim >= 2], "weight_decay": weight_decay},
        {"params": [each for each in given if each.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if name == "adamw":
        # foreach and fused variants round differently on some builds; the plain loop is fixed.
        return torch.optim.AdamW(groups, lr=lr, betas=betas, foreach=False)
    if name == "adafactor":
        from transformers.optimization import Adafactor

        fixed = {"scale_parameter": False, "relative_step": False, "warmup_init": False}
        made: torch.optim.Optimizer = Adafactor(groups, lr=lr, **fixed)
        return made
    kind = {"adamw8bit": "AdamW8bit", "lion": "Lion"}[name]
    given_betas = betas if name == "adamw8bit" else (0.9, 0.99)  # Lion's own, of its paper
    made = getattr(_bitsandbytes(name).optim, kind)(groups, lr=lr, betas=given_betas)
    return made


def _bitsandbytes(wanted: str) -> Any:
    try:
        import bitsandbytes
    except ImportError as error:
        raise BadConfig(
            f"the optimiser {wanted} needs bitsandbytes, which is not installed",
            where="--optimiser",
            fix="pip install 'seemant[nf4]', or use adamw",
        ) from error
    return bitsandbytes
