"""Codes cut over ranks: the same gradients, half of the bytes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from seemant.core.errors import InputError
from seemant.models.frozen.build import frozen
from seemant.train.scale.shard import check_even, codes_become_parameters, shard
from tests.train import shard_worker
from tests.train.ranks import run_ranks


@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
def test_sharded_codes_give_the_gradients_of_whole_ones(kind: str, tmp_path: Path) -> None:
    shard_worker.main(kind, tmp_path)
    alone = load_file(tmp_path / "rank_0.st")
    out = tmp_path / "two"
    out.mkdir()
    run_ranks(Path(shard_worker.__file__), 2, kind, out)
    assert len(alone) == 12
    for rank in (0, 1):
        mine = load_file(out / f"rank_{rank}.st")
        assert mine.keys() == alone.keys()
        for name, wanted in alone.items():
            assert float((mine[name] - wanted).norm() / wanted.norm()) <= 1e-6
    adapters = sum(each.nbytes for each in alone.values())
    facts = [json.loads((out / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    codes = facts[0]["whole"] - adapters
    for when in ("between", "held"):  # between forward and backward, and afterwards
        assert [each[when] - adapters for each in facts] == [codes // 2, codes // 2], when


def test_codes_become_parameters_in_their_own_storage() -> None:
    matrix = frozen("int8", (4, 6), [torch.randn(4, 6)])
    before = matrix.dequantised(torch.float32)
    made = codes_become_parameters(nn.Sequential(matrix))
    assert {each.dtype for each in made} == {torch.int8, torch.bfloat16}
    assert not any(each.requires_grad for each in made)
    assert not list(matrix.buffers())
    assert torch.equal(matrix.dequantised(torch.float32), before)
    assert matrix.n_bytes == 4 * (6 + 2)


def test_a_lone_process_cannot_shard() -> None:
    with pytest.raises(InputError, match="alone"):
        shard([nn.Linear(2, 2)])


def test_micro_batches_must_share_out_over_the_ranks() -> None:
    check_even(8, 2)
    with pytest.raises(InputError, match="5 micro-batches") as caught:
        check_even(5, 2)
    assert "multiple of 2" in str(caught.value.fix)
