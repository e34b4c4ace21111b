"""Several processes take the same step as one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seemant.core.errors import InputError
from seemant.train.scale.processes import _buckets, size_of_environment, world_here
from seemant.train.scale.world import Lone
from tests.train import scale_worker
from tests.train.ranks import run_ranks

WORKER = Path(scale_worker.__file__)
# Two micro-batches of very unequal answers, two more for the second round; [ids, n_prompt].
UNEQUAL = [
    [[[1, 2, 3, 4, 5, 6, 7, 8, 9], 2], [[4, 4, 1], 2]],
    [[[7, 3, 11], 2]],
    [[[2, 9, 1, 13, 5], 4]],
    [[[3, 8, 8, 2, 2, 2, 1, 19, 0, 4, 6], 1]],
]
# The second rank's micro-batches hold no answer token at all.
ONE_IS_MASKED = [[[[5, 6, 7, 8], 1]], [[[5, 6, 7], 3]], [[[9, 1, 2], 2]], [[[5, 5], 2]]]


def one(micros: list, tmp_path: Path) -> tuple[dict[str, torch.Tensor], float]:
    """The step of one process: this one."""
    tmp_path.mkdir(exist_ok=True)
    work = tmp_path / "alone.json"
    work.write_text(json.dumps(micros))
    scale_worker.main(work, tmp_path)
    said = json.loads((tmp_path / "rank_0.json").read_text())
    return load_file(tmp_path / "rank_0.safetensors"), said["loss"]


def of_ranks(micros: list, tmp_path: Path, size: int) -> tuple[list, list]:
    work, out = tmp_path / "work.json", tmp_path / f"of_{size}"
    work.write_text(json.dumps(micros))
    out.mkdir()
    run_ranks(WORKER, size, work, out)
    gradients = [load_file(out / f"rank_{rank}.safetensors") for rank in range(size)]
    return gradients, [json.loads((out / f"rank_{rank}.json").read_text()) for rank in range(size)]


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("micros", [UNEQUAL, ONE_IS_MASKED], ids=["unequal", "one is masked"])
def test_two_processes_have_the_gradient_of_one(micros: list, tmp_path: Path) -> None:
    alone, loss = one(micros, tmp_path)
    gradients, said = of_ranks(micros, tmp_path, 2)
    for mine in gradients:
        assert mine.keys() == {"a", "b", "unused"}
        for name in ("a", "b"):
            assert relative(mine[name], alone[name]) <= 1e-6
        assert not mine["unused"].any()  # no rank has a gradient there: it counts as zero
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
    assert [each["size"] for each in said] == [2, 2]
    assert said[0]["loss"] == said[1]["loss"] == pytest.approx(loss, rel=1e-6)


def test_a_mean_of_the_ranks_means_would_be_another_gradient(tmp_path: Path) -> None:
    alone, _ = one(UNEQUAL, tmp_path)
    first, second = UNEQUAL[::2], UNEQUAL[1::2]
    wrong = torch.zeros_like(alone["a"])
    for number, part in enumerate((first, second)):
        wrong += one(part, tmp_path / str(number))[0]["a"] / 2
    assert relative(wrong, alone["a"]) > 1e-2


def test_without_a_launcher_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with world_here() as world:
        assert isinstance(world, Lone)
        assert (world.rank, world.size) == (0, 1)
        assert world.sum_floats([1.5, 2.0]) == [1.5, 2.0]


@pytest.mark.parametrize(
    ("environment", "size"),
    [({}, 1), ({"WORLD_SIZE": "1"}, 1), ({"WORLD_SIZE": "3", "RANK": "2"}, 3)],
)
def test_the_size_is_what_the_launcher_says(environment: dict[str, str], size: int) -> None:
    assert size_of_environment(environment) == size


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "2"},
        {"WORLD_SIZE": "2", "RANK": "-1"},
    ],
)
def test_a_half_set_environment_is_refused_with_the_launcher_named(
    environment: dict[str, str],
) -> None:
    with pytest.raises(InputError) as caught:
        size_of_environment(environment)
    assert "accelerate launch" in str(caught.value.fix)


def test_gradients_travel_in_buckets_of_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seemant.train.scale.processes._BUCKET_BYTES", 40)
    sizes = [(5, torch.float32), (5, torch.float32), (1, torch.float32), (2, torch.float64)]
    given = [torch.nn.Parameter(torch.zeros(n, dtype=dtype)) for n, dtype in sizes]
    found = [[len(each) for each in bucket] for bucket in _buckets(given)]
    assert found == [[5, 5], [1], [2]]


def test_a_parameter_larger_than_a_bucket_travels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seemant.train.scale.processes._BUCKET_BYTES", 8)
    given = [torch.nn.Parameter(torch.zeros(n)) for n in (9, 1, 1, 7)]
    assert [[len(p) for p in bucket] for bucket in _buckets(given)] == [[9], [1, 1], [7]]
