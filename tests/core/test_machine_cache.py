"""What a machine was measured at is kept once, by machine and version, and may be lost."""

from pathlib import Path

import pytest

from seemant.core import machine_cache


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


def test_a_machine_held_to_fewer_instructions_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    machine_cache.remember("capability", "all")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert machine_cache.recall("capability") is None


def test_without_a_place_to_keep_it_nothing_is_kept_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "a file" / "cache"))
    machine_cache.remember("runtime_bytes", 3)
    assert machine_cache.recall("runtime_bytes") is None
