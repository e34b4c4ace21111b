"""Who writes and who follows, and what is refused before ranks drift apart."""

from pathlib import Path

import pytest

from seemant.core.errors import InputError
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from seemant.train.scale.processes import wants_shards
from seemant.train.scale.ranks import execute_ranks, train_ranks, under_launcher


@pytest.mark.parametrize(
    ("environment", "launched"),
    [
        ({}, False),
        ({"WORLD_SIZE": "1", "RANK": "0"}, False),
        ({"WORLD_SIZE": "2", "RANK": "0"}, True),
        ({"WORLD_SIZE": "2", "RANK": "1"}, True),
    ],
)
def test_a_launcher_is_known_by_more_than_one_process(
    environment: dict[str, str], launched: bool
) -> None:
    assert under_launcher(environment) == launched


def test_a_memory_limit_is_refused_with_several_ranks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several ranks"):
        train_ranks(TrainConfig(memory_limit="2GB"), {}, tmp_path)
    with pytest.raises(InputError, match="several ranks"):  # before any rank waits for another
        execute_ranks(STAGE, TrainConfig(memory_limit="2GB"), {}, store=tmp_path)


def test_accelerates_own_switch_asks_for_shards() -> None:
    assert wants_shards({"ACCELERATE_USE_FSDP": "true"})
    assert not wants_shards({"ACCELERATE_USE_FSDP": "false"})
    assert not wants_shards({})
