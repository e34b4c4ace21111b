"""The runtime's memory is measured once a machine."""

from pathlib import Path

import pytest

from seemant.train.memory import floor
from seemant.train.memory.misses import misses, remember_miss


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path))


def test_one_miss_a_kind_of_run_the_newest_of_it_and_not_too_many() -> None:
    for number in range(40):
        remember_miss(str(number), number / 100)
    remember_miss("39", -0.5)
    found = misses()
    assert len(found) == 32 and found[-1] == -0.5 and 0.39 not in found


def test_the_floor_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(module: str, libraries: str) -> dict[str, int]:
        asked.append(libraries)
        return {"peak_rss": 100 + len(asked)}

    monkeypatch.setattr(floor, "ask_child", ask)
    assert [floor.runtime_floor(), floor.runtime_floor()] == [101, 101]
    assert floor.runtime_floor(again=True) == 102 and floor.runtime_floor() == 102


@pytest.mark.parametrize("isa", ["DEFAULT", "AVX2", "SSE41"])
def test_the_floor_of_this_machine_holds_torch_and_little_else(
    isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
    assert 150e6 < floor.runtime_floor() < 500e6
