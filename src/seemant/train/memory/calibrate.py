"""The plan of a run as it went, and how far off it was: the next plan's interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from seemant.models.decoder.shape import DecoderShape
from seemant.train.config import TrainConfig
from seemant.train.memory.misses import remember_miss
from seemant.train.memory.plan import Malloc, Plan, plan_of


def plan_of_steps(
    shape: DecoderShape,
    config: TrainConfig,
    steps: Sequence[Mapping[str, Any]],
    *,
    runtime_bytes: int,
    malloc: Malloc,
) -> Plan:
    """Return the plan for the micro-batches that really came, not for the longest that might.

    config: the settings as they were used. steps: the "step" events of the run.
    """
    tokens = [int(step["micro_tokens"]) for step in steps]
    longest = min(config.max_length, max(tokens))
    if config.pack:
        seen, length = config.model_copy(update={"pack": max(tokens)}), longest
    else:
        seen, length = config, math.ceil(max(tokens) / config.batch)
    return plan_of(
        shape,
        seen,
        max_length=length,
        answer_tokens=max(int(step["micro_answers"]) for step in steps),
        runtime_bytes=runtime_bytes,
        malloc=malloc,
        token_counts=len(set(tokens)),
    )


def learn(plan: Plan, peak_bytes: int) -> float:
    """Keep how far a run's peak was from its plan, one figure a kind of run; return it."""
    miss = peak_bytes / plan.peak_bytes - 1
    key = replace(plan, phases=(), miss=(0.0, 0.0), miss_from="").sha256
    remember_miss(key, miss)
    return miss
