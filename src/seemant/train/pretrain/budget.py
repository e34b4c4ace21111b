"""From a budget, in tokens or in minutes, to optimiser steps; decided once, before the first."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from seemant.core.jsonl import read_json, write_json
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.recipe import order_of
from seemant.train.pretrain.windows import Windows

NAME = "budget.json"
_EVALUATION = 1 / 3  # of a training token's work: forward without backward


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run trains on.

    steps: optimiser steps. step_tokens: mean tokens of one. tokens: of all. epochs: passes over
    the text. found: whether the tokens were asked for, or follow from minutes and a timing.
    """

    steps: int
    step_tokens: float
    tokens: int
    epochs: float
    found: Literal["given", "timed"]


def budget_of(
    out: Path,
    windows: Windows,
    config: PretrainConfig,
    *,
    heldout_tokens: int,
    tokens_a_second: Callable[[], float],
) -> Budget:
    """Return the budget, and write it to `budget.json`; a run that goes on keeps the one there.

    tokens_a_second: times real steps; called only where the budget is in minutes.
    """
    path = out / NAME
    if config.minutes is not None and path.is_file():
        return Budget(**read_json(path))
    bins = order_of(windows, config).epoch(0)
    step_tokens = windows.n_tokens / len(bins) * config.micro_batches
    wanted = float(config.tokens or 0)
    if config.minutes is not None:
        looks = (config.evaluations + 1) * heldout_tokens * _EVALUATION
        wanted = config.minutes * 60 * tokens_a_second() - looks
    steps = max(1, round(wanted / step_tokens))
    tokens = round(steps * step_tokens)
    budget = Budget(
        steps=steps,
        step_tokens=round(step_tokens, 1),
        tokens=tokens,
        epochs=round(tokens / windows.n_tokens, 3),
        found="given" if config.minutes is None else "timed",
    )
    write_json(path, asdict(budget))
    return budget
