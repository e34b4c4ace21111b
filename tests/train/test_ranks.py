"""Who writes and who follows, and what is refused before ranks drift apart."""

from pathlib import Path

import pytest

from seemant.core.errors import InputError
from seemant.train import ranks
from seemant.train.config import TrainConfig
from seemant.train.ranks import follow, is_follower, train_ranks, under_launcher
from seemant.train.scale import wants_shards


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


def test_a_follower_has_nothing_to_do_for_a_whole_artefact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[Path] = []
    monkeypatch.setattr(ranks, "train_ranks", lambda _config, _inputs, out: called.append(out))
    monkeypatch.setattr(ranks, "is_whole", lambda _out: True)
    follow(TrainConfig(), {}, tmp_path)
    assert called == []
    monkeypatch.setattr(ranks, "is_whole", lambda _out: False)
    follow(TrainConfig(), {}, tmp_path)
    assert called == [tmp_path]


def test_accelerates_own_switch_asks_for_shards() -> None:
    assert wants_shards({"ACCELERATE_USE_FSDP": "true"})
    assert not wants_shards({"ACCELERATE_USE_FSDP": "false"})
    assert not wants_shards({})
