"""The memory that a pretraining will take, and the refusal of one that does not fit its limit."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import InputError
from seemant.models.decoder.kernel_cache import KERNEL_BYTES
from seemant.models.decoder.shape import shape_of_config
from seemant.train.memory.plan import Plan, plan_of
from seemant.train.memory.terms import KERNELS as PLANNED_KERNELS
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.recipe import KERNELS, train_config


def peak_planned(config: PretrainConfig, said: Mapping[str, Any], held_bytes: int) -> Plan:
    """Return the plan of the run's memory.

    said: the model's `config.json`. held_bytes: what the process holds before the model is made:
    libraries and text.

    Raises:
        InputError: more than the limit that was given; says what would need less.
    """
    more = (KERNELS - PLANNED_KERNELS) * KERNEL_BYTES  # the plan counts a fine-tuning's, fewer
    plan = plan_of(
        shape_of_config(said),
        train_config(config, 1),
        max_length=config.context,
        answer_tokens=config.micro_size,
        runtime_bytes=held_bytes + more,
    )
    if config.memory_limit is not None and plan.peak_bytes > config.memory_limit:
        largest = max(plan.terms, key=lambda term: plan.terms[term])
        raise InputError(
            f"the plan needs {plan.peak_mb:,.0f} MB, the limit is "
            f"{config.memory_limit / 1e6:,.0f} MB; the largest part is: {largest}",
            where="--memory-limit",
            fix="lower --micro-tokens, add --checkpointing, or take a smaller --size",
        )
    return plan
