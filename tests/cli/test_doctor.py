"""`seemant doctor` says of each thing that it is fine, slow or missing, and never fails."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seemant.cli import looks as module
from seemant.cli.looks import Line, looks
from seemant.cli.main import run
from seemant.core import capability, machine_cache
from seemant.core.errors import WorldError
from seemant.train.memory import floor, limit

SECONDS = {"s": 0.010, "low": 0.009, "high": 0.012}
SLOWER = {"s": 0.040, "low": 0.039, "high": 0.042}


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and stand-ins for the child processes that measure; what was asked."""
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEEMANT_DATA", raising=False)
    asked: list[str] = []

    def ask_child(name: str, *arguments: str) -> dict[str, Any]:
        asked.append(name)
        if name.endswith("floor"):
            return {"peak_rss": 200_000_000}
        products = {"float32": SECONDS, "bfloat16": SLOWER}
        return {"products": products, "refused": {}, "exact_bfloat16": False, "cuda": False}

    monkeypatch.setattr(floor, "ask_child", ask_child)
    monkeypatch.setattr(capability, "ask_child", ask_child)
    monkeypatch.setattr(module, "_tried", lambda code: "CPU : AVX2 = 1 | NEON = 0 | FMA = 1 | ")
    return asked


def lines() -> dict[str, Line]:
    return {line.name: line for line in looks()}


def test_each_line_is_fine_slow_or_missing_and_what_is_not_fine_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["doctor", "--json"]) == 0
    found = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert {line["state"] for line in found.values()} <= {"fine", "slow", "missing"}
    assert found["machine"]["state"] == "fine" and "numpy" in found["packages"]["said"]
    assert found["runtime"]["said"].startswith("200 MB")
    assert "10.0 ms (9.0 to 12.0)" in found["float32"]["said"]
    model = found["model gemma-3-270m"]  # the cache is empty
    assert model["state"] == "missing" and model["do"] == "seemant models fetch gemma-3-270m"
    assert found["llama.cpp"]["said"] == "built with AVX2 FMA"
    for name in found.keys() - {"gpu"}:
        assert found[name]["state"] == "fine" or found[name]["do"], name


def test_bfloat16_that_is_slower_says_what_is_done_in_its_place() -> None:
    line = lines()["bfloat16"]
    assert line.state == "slow" and "computed in float32" in line.do


def test_the_text_has_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    for line in looks():
        if line.name != "load":
            assert line.said in said and line.do in said


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = lines()
    for name, extra in (("llama.cpp", "llamacpp"), ("nf4", "nf4"), ("ray", "ray")):
        assert found[name].state == "missing"
        assert found[name].do == f"pip install 'seemant[{extra}]'"


def test_it_measures_once_and_again_when_asked(measured: list[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    first = list(measured)
    assert len(first) == 2 and machine_cache.recall("runtime_bytes_torch") == 200_000_000
    assert run(["doctor", "--json"]) == 0
    assert measured == first
    assert run(["doctor", "--json", "--again"]) == 0
    assert measured == first * 2


@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        ((floor, "ask_child"), "runtime", WorldError("it ended with code -4", fix="again")),
        ((capability, "ask_child"), "products", WorldError("it ended with code -4")),
        ((limit, "best_way"), "limits", OSError(13, "Permission denied")),
        ((shutil, "disk_usage"), "disk", PermissionError(13, "Permission denied")),
        ((module, "hardware"), "machine", ValueError("no /proc")),
        ((module, "load_average"), "load", OSError("not to be had")),
        ((module, "memory_bytes"), "memory", ValueError("unrecognized configuration name")),
        ((module, "_tried"), "llama.cpp", WorldError("it cannot be loaded here: libgomp.so.1")),
        ((module, "cache_dir"), "cache", WorldError("this user has no home", fix="set HOME")),
        ((module, "data_dir"), "data", RuntimeError("anything")),
        ((module, "packages"), "packages", KeyError("Version")),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_look_that_fails_is_a_line_and_the_others_go_on(
    place: tuple[Any, str],
    name: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = lines().keys()

    def fails(*given: object, **named: object) -> None:
        raise error

    machine_cache._path().unlink()
    monkeypatch.setattr(*place, fails)
    assert run(["doctor"]) == 0
    said = capsys.readouterr()
    (line,) = [row for row in said.out.splitlines() if row.split()[:2] == ["missing", name]]
    assert str(error.args[-1]) in line
    after = lines()
    assert before - after.keys() <= {"float32", "bfloat16"} and "Traceback" not in said.err


def test_llamacpp_built_for_another_cpu_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.CompletedProcess([], -4, "", "")
    monkeypatch.undo()
    monkeypatch.setattr(subprocess, "run", lambda *given, **named: ended)
    with pytest.raises(WorldError, match="code -4"):
        module._tried("import xllamacpp")
    (line,) = module.seen("llama.cpp", module._llamacpp)
    assert line.state == "missing" and "code -4" in line.said


def test_a_folder_that_takes_no_cache_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "file" / "cache"))
    line = lines()["cache"]
    assert line.state == "missing" and "SEEMANT_CACHE" in line.do


def test_a_data_folder_that_is_named_but_absent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEMANT_DATA", "/no/such")
    line = lines()["data"]
    assert line.state == "missing" and "/no/such" in line.said


@pytest.mark.parametrize(("allowed", "state"), [(8e9, "fine"), (1e9, "slow"), (None, "fine")])
def test_a_control_groups_limit_is_the_memory_that_there_is(
    allowed: float | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "memory_bytes", lambda: 16e9)
    monkeypatch.setattr(module, "allowed_bytes", lambda: allowed)
    line = lines()["memory"]
    assert line.state == state and "16.0 GB" in line.said
    assert allowed is None or f"{allowed / 1e9:.1f} GB" in line.said


@pytest.mark.parametrize(
    ("way", "word"),
    [("cgroup v2", "enforced"), ("rlimit data", "enforced"), ("watcher", "watched")],
)
def test_a_limit_that_is_only_watched_is_not_called_enforced(
    way: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit, "best_way", lambda: way)
    assert f"is {word} here by: {way}" in lines()["limits"].said
