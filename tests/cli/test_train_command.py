"""`seemant train`: recipes and plans on any machine, rows for the eye, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from seemant.cli import train as train_cli
from seemant.cli.main import run
from seemant.core.jsonl import write_records
from tests.train.tiny import byte_level, some_pairs, tiny_llama


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `run_stage` was called with."""
    calls: list[Any] = []
    monkeypatch.setattr(train_cli, "run_stage", lambda *given: calls.append(given))
    return calls


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    tokenizer = byte_level()
    tiny_llama(tokenizer.n_tokens).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_records(path, some_pairs(6))
    return path


@pytest.mark.parametrize("name", ["indic-v1", "nano"])
def test_a_recipe_prints_its_plan_where_the_model_is_not(
    name: str, told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--recipe", name]) == 0
    text = capsys.readouterr().out
    assert "conflict:" in text and "reported" in text and "assumed" in text
    assert "plan hf:" in text and "frozen matrices of the blocks" in text
    assert "is not on this machine, so nothing is run" in text
    assert not told


def test_a_recipe_runs_where_the_model_is_with_flags_over_it(
    model: Path, pairs: Path, told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", f"path:{model}", str(pairs), "--recipe", "nano", "--rank", "3"]
    assert run([*command, "--steps", "2"]) == 0
    ((stage, config, given, _),) = told
    assert stage == "train" and given["model"] == f"path:{model}" and given["pairs"] == str(pairs)
    assert config.base == "int8" and config.rank == 3 and config.steps == 2
    assert config.epochs is None and config.memory_limit == 4e9
    assert "yours; the recipe has 8, reported" in capsys.readouterr().out


def test_a_recipe_without_pairs_says_what_is_missing(
    model: Path, told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", f"path:{model}", "--recipe", "nano"]) == 0
    assert "no pairs are named, so nothing is run" in capsys.readouterr().out and not told


def test_a_plan_is_printed_and_nothing_run(
    model: Path, told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", f"path:{model}", "--plan"]) == 0
    assert "peak, in" in capsys.readouterr().out and not told
    assert run(["train", "config:google/gemma-3-1b-it", "--plan", "--memory-limit", "3GB"]) == 0
    assert "search for a plan within 3,000 MB" in capsys.readouterr().out


def test_the_batch_is_shown_and_nothing_run(
    model: Path, pairs: Path, told: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", f"path:{model}", str(pairs), "--show-batch"]) == 0
    text = capsys.readouterr().out
    assert text.count("learned: ") == 3 and not told


def test_other_inputs_reach_the_stage(model: Path, pairs: Path, told: list[Any]) -> None:
    command = ["train", str(model), str(pairs), "--replay", "0.1", "--replay-pairs", str(pairs)]
    assert run([*command, "--targets", "t"]) == 0
    assert told[0][2] == {
        "model": str(model), "pairs": str(pairs), "replay": str(pairs), "targets": "t",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train"], "a model is needed"),
        (["train", "MODEL"], "pairs are needed"),
        (["train", "--recipe", "nono"], "unknown recipe"),
        (["train", "path:nowhere", "x"], "nowhere"),
        (["train", "hf:no/where", "--plan"], "nothing can be planned"),
    ],
)
def test_what_is_missing_is_an_input_error(
    command: list[str], said: str, model: Path, told: list[Any], capsys: Any
) -> None:
    command = [f"path:{model}" if each == "MODEL" else each for each in command]
    assert run(command) == 2
    assert said in capsys.readouterr().err and not told


def test_a_dry_run_prints_the_settings_of_the_recipe(
    model: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(model), str(pairs), "--recipe", "nano", "--dry-run"]
    assert run(command) == 0
    text = capsys.readouterr().out
    said = json.loads(text[text.index('{\n  "stage"') :])
    assert said["config"]["rank"] == 8 and said["config"]["base"] == "int8"
