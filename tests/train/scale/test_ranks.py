"""Who writes and who follows, and what is refused before ranks drift apart."""

from pathlib import Path

import pytest

from seemant.core.errors import InputError
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from seemant.train.scale.processes import wants_shards
from seemant.train.scale.ranks import execute_ranks, is_follower, train_ranks, under_launcher


@pytest.mark.parametrize(
    ("environment", "launched", "follows"),
    [
        ({}, False, False),
        ({"WORLD_SIZE": "1", "RANK": "0"}, False, False),
        ({"WORLD_SIZE": "2", "RANK": "0"}, True, False),
        ({"WORLD_SIZE": "2", "RANK": "1"}, True, True),
    ],
)
def test_only_ranks_above_zero_follow(
    environment: dict[str, str], launched: bool, follows: bool
) -> None:
    assert under_launcher(environment) == launched
    assert is_follower(environment) == follows


def test_a_memory_limit_is_refused_with_several_ranks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several ranks"):
        train_ranks(TrainConfig(memory_limit="2GB"), {}, tmp_path)
    with pytest.raises(InputError, match="several ranks"):  # before any rank waits for another
        execute_ranks(STAGE, TrainConfig(memory_limit="2GB"), {}, store=tmp_path)


def test_accelerates_own_switch_asks_for_shards() -> None:
    assert wants_shards({"ACCELERATE_USE_FSDP": "true"})
    assert not wants_shards({"ACCELERATE_USE_FSDP": "false"})
    assert not wants_shards({})
