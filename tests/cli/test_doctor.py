"""`seemant doctor` says what is here and what is not, and measures a machine once."""

import json
from pathlib import Path
from typing import Any

import pytest

from seemant.cli import doctor as doctor_cli
from seemant.cli.main import run
from seemant.train.memory import floor, limit, machine_cache, products

SECONDS = {"s": 0.010, "low": 0.009, "high": 0.012}


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and stand-ins for the child processes that measure; what was asked."""
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEEMANT_DATA", raising=False)
    asked: list[str] = []

    def ask_child(module: str, *arguments: str) -> dict[str, Any]:
        asked.append(module)
        return {"peak_rss": 200_000_000} if module.endswith("floor") else {"float32": SECONDS}

    for module in (floor, products):
        monkeypatch.setattr(module, "ask_child", ask_child)
    return asked


def test_the_facts_are_json_and_name_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_cli, "EXTRAS", {"no": ("no_such_module", "nothing"),
                                               "yes": ("json", "all")})  # fmt: skip
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["machine"]["cores"] >= 1 and facts["packages"]["numpy"]
    assert facts["extras"]["no"] == {"present": False, "for": "nothing"}
    assert facts["extras"]["yes"]["present"] is True
    assert facts["models"] and not any(facts["models"].values())  # the cache is empty
    assert facts["runtime_bytes"] == 200_000_000
    assert facts["products"] == {"float32": SECONDS}


def test_the_text_says_how_to_get_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_cli, "EXTRAS", {"ray": ("no_such_module", "many machines")})
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "pip install 'seemant[ray]'" in said
    assert "missing: seemant models fetch" in said
    assert "10.0 ms (9.0 to 12.0)" in said and "200 MB before any model" in said


def test_it_measures_once_and_again_when_asked(measured: list[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    first = list(measured)
    assert len(first) == 2 and machine_cache.recall("products") == {"float32": SECONDS}
    assert run(["doctor", "--json"]) == 0
    assert measured == first
    assert run(["doctor", "--json", "--again"]) == 0
    assert measured == first * 2


@pytest.mark.parametrize(
    ("way", "enforced", "word"),
    [("cgroup v2", True, "enforced"), ("rlimit data", True, "enforced"),
     ("watcher", False, "watched")],
)  # fmt: skip
def test_a_limit_that_is_only_watched_is_not_called_enforced(
    way: str,
    enforced: bool,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(limit, "best_way", lambda: way)
    assert doctor_cli.examine()["memory_limit"] == {"how": way, "enforced": enforced}
    assert run(["doctor"]) == 0
    assert f"is {word} here by: {way}" in capsys.readouterr().out
