"""The stage as a user runs it: from files to an artefact, killed and resumed, and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seemant.core.errors import BadRecord
from seemant.core.jsonl import write_records
from seemant.core.stage import Done, execute, file_input
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE
from tests.train.tiny import byte_level, pair, some_pairs, tiny_llama

CONFIG = TrainConfig(
    rank=2, steps=6, batch=2, accumulation=2, save_every=1, eval_every=3, heldout_share=0.3,
    threads=1,
)  # fmt: skip

LONGER = CONFIG.model_copy(update={"steps": 60})  # long enough for a kill to land inside


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as a Hugging Face folder, plain prompts."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    tokenizer = byte_level()
    tiny_llama(tokenizer.n_tokens).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    write_records(path, some_pairs(60))
    return path


def train(base: Path, pairs: Path, out: Path, config: TrainConfig = CONFIG) -> Done:
    inputs = {"model": file_input(base, f"path:{base.name}"), "pairs": file_input(pairs)}
    return execute(STAGE, config, inputs, store=out, out=out)


def test_it_leaves_the_promised_files_and_measurements(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    done = train(base, pairs, tmp_path / "run")
    names = {entry.path for entry in done.manifest.files}
    assert names >= {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "student.json",
        "losses.jsonl",
        "set_aside.jsonl",
    }
    assert not any("checkpoints" in name for name in names)
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    assert {m.subject for m in found.values()} == {"tiny+lora"}
    for when in ("before", "after", "change"):
        measured = found[f"heldout_loss_{when}", None]
        assert measured.unit == "nats/token" and measured.n == 18
        assert measured.n_clusters == 9 and measured.ci_low is not None
    change = found["heldout_loss_after", None].value - found["heldout_loss_before", None].value
    assert found["heldout_loss_change", None].value == pytest.approx(change)
    assert found["train_loss_last", None].value < found["train_loss_first", None].value
    assert found["pairs_trained", "en"].value == 42
    a_layer = 2 * ((32 + 32) + 2 * (32 + 16) + (32 + 32) + 3 * (32 + 48))
    assert found["trainable_parameters", None].value == 2 * a_layer
    assert {m.conditions.get("bit_exact") for m in found.values()} == {None}
    assert {m.metric for m in found.values() if m.timed} == {"step_time", "train_speed", "peak_rss"}


def test_the_stage_is_described_without_loading_torch() -> None:
    code = "import sys, seemant.train.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def timeless(done: Done) -> list[str]:
    return [m.model_dump_json() for m in done.manifest.measurements if not m.timed]


KILLED = """
import sys
from pathlib import Path
from tests.train.test_run import LONGER, train

train(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), LONGER)
"""


def test_after_kill_9_the_artefact_is_the_same_to_the_byte(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    whole = train(base, pairs, tmp_path / "whole", LONGER)
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(base), str(pairs), str(out)]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE
    )
    limit = time.monotonic() + 60
    while not list(out.glob(".checkpoints/step_00000[3-9]")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < limit
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not (out / "manifest.json").exists()
    again = train(base, pairs, out, LONGER)
    events = (out / "events.jsonl").read_text()
    assert '"kind": "resumed"' in events
    assert again.manifest.content_sha256 == whole.manifest.content_sha256
    assert timeless(again) == timeless(whole)


def test_bad_lines_are_set_aside_and_other_languages_left_out(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    write_records(path, [*some_pairs(20), pair("कौन?", "मैं", lang="hi")])
    with path.open("ab") as file:
        file.write(b'{"instruction": "no output", "lang": "en"}\n\xff\xfe\n')
    done = train(base, path, tmp_path / "run", CONFIG.model_copy(update={"languages": ("en",)}))
    rejected = (done.path / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) == 2
    (aside,) = map(json.loads, (done.path / "set_aside.jsonl").read_text().splitlines())
    assert aside["reason"] == "language" and aside["lang"] == "hi"
    found = {(m.metric, m.lang): m.value for m in done.manifest.measurements}
    assert found["set_aside_language", None] == 1
    assert json.loads((done.path / "student.json").read_text())["languages"] == ["en"]


def test_pairs_of_no_carried_language_are_an_input_error(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadRecord, match="no pair is left"):
        train(base, pairs, tmp_path / "r", CONFIG.model_copy(update={"languages": ("kn",)}))


def test_without_held_out_pairs_it_trains_all_the_same(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    done = train(base, pairs, tmp_path / "r", CONFIG.model_copy(update={"heldout_share": 0.0}))
    assert not any("heldout_loss" in m.metric for m in done.manifest.measurements)
    assert json.loads((done.path / "losses.jsonl").read_text().splitlines()[0])["step"] == 1


def test_an_artefact_s_model_can_be_trained(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.models.backends.tiny import write_tiny

    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bundle").mkdir()
    write_tiny(tmp_path / "bundle" / "model.gguf")
    config = CONFIG.model_copy(update={"steps": 1})
    done = train(tmp_path / "bundle", pairs, tmp_path / "run", config)
    assert (done.path / "adapter.gguf").is_file()
    assert done.manifest.measurements[0].subject == "bundle+lora"
