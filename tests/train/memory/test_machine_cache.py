"""What a machine was measured at is kept once, by machine and version, and may be lost."""

from pathlib import Path

import pytest

from seemant.train.memory import floor, machine_cache, products


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path))
    return tmp_path


def test_what_was_kept_comes_back_and_a_torn_file_means_measuring_again(cache: Path) -> None:
    assert machine_cache.recall("runtime_bytes") is None
    machine_cache.remember("runtime_bytes", 3)
    machine_cache.remember("products", {"float32": 1.0})
    assert machine_cache.recall("runtime_bytes") == 3
    (file,) = (cache / "machine").glob("*.json")
    file.write_text("{")
    assert machine_cache.recall("runtime_bytes") is None


def test_a_machine_with_other_libraries_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_cache.remember("runtime_bytes", 3)
    monkeypatch.setattr(machine_cache, "packages", lambda: {"torch": "9.9"})
    assert machine_cache.recall("runtime_bytes") is None


def test_one_miss_a_kind_of_run_the_newest_of_it_and_not_too_many() -> None:
    for number in range(40):
        machine_cache.remember_miss(str(number), number / 100)
    machine_cache.remember_miss("39", -0.5)
    found = machine_cache.misses()
    assert len(found) == 32 and found[-1] == -0.5 and 0.39 not in found


def test_the_floor_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(module: str, libraries: str) -> dict[str, int]:
        asked.append(libraries)
        return {"peak_rss": 100 + len(asked)}

    monkeypatch.setattr(floor, "ask_child", ask)
    assert [floor.runtime_floor(), floor.runtime_floor()] == [101, 101]
    assert floor.runtime_floor(again=True) == 102 and floor.runtime_floor() == 102


def test_a_product_is_timed_in_each_type_and_the_median_lies_in_its_spread() -> None:
    found = products.product_seconds()
    assert set(found) == {"float32", "bfloat16", "int8"}
    for each in found.values():
        assert 0 < each["low"] <= each["s"] <= each["high"]
    assert products.product_seconds() == found  # not timed again


def test_the_floor_of_this_machine_holds_torch_and_little_else() -> None:
    assert 150e6 < floor.runtime_floor() < 500e6
