"""A pretraining with a memory limit: planned and trained in a child that is held to the limit.

This side never imports torch. A plan here is the user's own settings: other micro-batches or
kernels would make another run, so one that does not fit is refused and never searched for.
"""

from collections.abc import Sequence
from pathlib import Path

from seemant.core.errors import WorldError
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs
from seemant.train.memory.attempt import COMMAND, attempt, log_attempt, measured_by
from seemant.train.memory.floor import runtime_floor
from seemant.train.memory.limit import WAYS, Way
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.plan import peak_planned
from seemant.train.pretrain.shape import hf_config
from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of


def pretrain_limited(
    config: PretrainConfig,
    inputs: Inputs,
    out: Path,
    *,
    ways: tuple[Way, ...] = WAYS,
    command: Sequence[str] = COMMAND,
) -> list[Measurement]:
    """Train within `config.memory_limit` and return the measurements.

    Raises:
        InputError: the plan needs more than the limit, or the training's own errors.
        WorldError: the limit was reached, or the training's own errors; a checkpoint stays.
    """
    assert config.memory_limit is not None
    limit = config.memory_limit
    # The child counts the text and its vocabulary too; with the bytes alone no run takes less.
    peak_planned(config, hf_config(config, tokenizer_of(byte_metadata())), runtime_floor())
    tried = attempt(
        config,
        config,
        inputs,
        out,
        limit_bytes=limit,
        malloc="default",
        ways=ways,
        command=command,
    )
    log_attempt(out, tried)
    if tried.ending != "done":
        seen = max(tried.peak_rss, tried.own_peak or 0)
        raise WorldError(
            f"{tried.ending} ({tried.how}, {limit / 1e6:,.0f} MB): it held {seen / 1e6:,.0f} MB. "
            f"{tried.said}".strip(),
            where=str(out),
            fix="lower --micro-tokens, add --checkpointing, or take a smaller --size",
        )
    return measured_by(tried)
