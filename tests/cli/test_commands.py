"""Commands pass on exactly what they were told."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from seemant.cli import frontier as frontier_cli
from seemant.cli import stages
from seemant.cli.main import run


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `run_stage` was called with."""
    calls: list[Any] = []
    monkeypatch.setattr(stages, "run_stage", lambda *given: calls.append(given))
    return calls


@pytest.mark.parametrize("prefix", ["", "run:", "path:"])
def test_export_takes_a_compress_artefact_however_it_is_written(
    tmp_path: Path, told: list[Any], prefix: str
) -> None:
    (tmp_path / "variant.json").write_text("{}")
    stages.export(f"{prefix}{tmp_path}")
    assert told[0][2] == {"variant": str(tmp_path), "adapter": None}


@pytest.mark.parametrize("text", ["model.gguf", "embedded:gemma-3-270m", "path:a/model.gguf"])
def test_export_takes_anything_else_as_a_model(told: list[Any], text: str) -> None:
    stages.export(text)
    assert told[0][2] == {"model": text, "adapter": None}


def test_the_study_s_sampling_keeps_the_length_and_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.models.backends.llamacpp import LlamaCpp
    from seemant.models.backends.protocol import STUDY_SAMPLING
    from seemant.models.backends.tiny import write_tiny

    write_tiny(tmp_path / "tiny.gguf")
    used: list[Any] = []
    real = LlamaCpp.generate

    def generate(self: LlamaCpp, prompt: str, sampling: Any, stop: Any = ()) -> Any:
        used.append(sampling)
        return real(self, prompt, sampling, stop)

    monkeypatch.setattr(LlamaCpp, "generate", generate)
    command = ["chat", f"path:{tmp_path / 'tiny.gguf'}", "--message", "abc", "--study", "--json"]
    assert run([*command, "--max-new-tokens", "3", "--seed", "9"]) == 0
    (sampling,) = used
    assert (sampling.max_new_tokens, sampling.seed) == (3, 9)
    assert sampling.temperature == STUDY_SAMPLING.temperature


def test_a_recommendation_s_command_is_seen_from_here_and_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study = Path("my store/quick")
    study.mkdir(parents=True)
    (study / "study.json").write_text(json.dumps({"nodes": {}}))
    store = frontier_cli._store_of(study)
    assert store == Path("my store")
    command = ["seemant", "serve", "embedded:x", "--adapter", "runs/quick/nodes/gemma"]
    here = frontier_cli._from_here(command, store)
    assert here and here[-1] == "my store/quick/nodes/gemma"
    request = {
        "device_title": "d", "languages": ["hi"], "verdict": "fit", "pick": "x", "why": "w",
        "word": "good", "words": {"hi": "good"}, "tally": {}, "least_bad": None, "next": [],
        "runner_up": None, "notes": [], "serve_command": here,
    }  # fmt: skip
    frontier_cli._print_request(request)
    line = capsys.readouterr().out.splitlines()[-1]
    assert shlex.split(line.partition("serve")[2]) == here
