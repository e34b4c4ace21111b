"""The stage as a user runs it: from text to a model, killed and resumed, and refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from seemant.core.errors import BadRecord, InputError
from seemant.core.jsonl import read_json, write_records
from seemant.core.records import LANGUAGES
from seemant.core.runlog import read_events
from seemant.core.stage import Done, execute, file_input
from seemant.corpus.shipped import shipped
from seemant.models.backends.open import open_backend
from seemant.models.backends.protocol import Sampling
from seemant.models.load import load_torch
from seemant.models.resolve import resolve
from seemant.study.inputs import as_input
from seemant.train.pretrain.bits import bits_per_byte
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.run import STAGE
from seemant.train.pretrain.session import read_text
from seemant.train.save import MODEL_FOLDER

SMALL: dict[str, Any] = {
    "size": "0.1M", "vocabulary": "bpe", "vocab_size": 400, "d": 32, "heads": 2, "kv_heads": 1,
    "head_dim": 16, "ff": 64, "context": 48, "batch_tokens": 512, "micro_tokens": 256,
    "tokens": 6000, "evaluations": 2, "heldout_tokens": 500, "save_every": 3, "threads": 1,
}  # fmt: skip
CONFIG = PretrainConfig.model_validate(SMALL)


@pytest.fixture(autouse=True)
def known_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's best rate takes a second to measure; test_bits.py does it once."""
    monkeypatch.setattr("seemant.train.pretrain.results.peak_flops", lambda _: 1e12)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.jsonl"
    write_records(path, [each for lang in LANGUAGES for each in shipped(lang)[:40]])
    return path


def pretrain(text: Path, out: Path, **more: Any) -> Done:
    config = PretrainConfig.model_validate(SMALL | more)
    return execute(STAGE, config, {"text": file_input(text)}, store=out, out=out)


def weights(out: Path) -> bytes:
    return (out / MODEL_FOLDER / "model.safetensors").read_bytes()


def test_it_leaves_a_model_and_what_was_measured(text: Path, tmp_path: Path) -> None:
    done = pretrain(text, tmp_path / "run")
    names = {entry.path for entry in done.manifest.files}
    assert names >= {"model.gguf", "budget.json", "losses.jsonl", "model/config.json"}
    assert names >= {f"model/{name}" for name in ("model.safetensors", "tokenizer.json")}
    assert not any("checkpoints" in name for name in names)
    found = {(m.metric, m.lang, m.origin): m for m in done.manifest.measurements}
    assert len(found) == len(done.manifest.measurements)
    for lang in LANGUAGES:
        ours = found["bits_per_byte", lang, "measured"]
        assert ours.unit == "bits/byte" and 0 < ours.value < 8
        assert found["bits_per_byte_unigram", lang, "measured"].value < 8
        assert found["bytes_a_token", lang, "measured"].value > 1
    before, after = (found[f"heldout_loss_{w}", None, "measured"] for w in ("before", "after"))
    assert after.value < before.value == pytest.approx(np.log(400), rel=0.02)
    budget = read_json(done.path / "budget.json")
    lines = [json.loads(each) for each in (done.path / "losses.jsonl").read_text().splitlines()]
    assert budget["found"] == "given" and lines[-1]["step"] == budget["steps"]
    assert found["tokens_trained", None, "measured"].value == pytest.approx(6000, rel=0.1)
    timed = {m.metric for m in found.values() if m.timed and m.origin == "measured"}
    assert timed == {
        "step_time", "train_speed", "peak_rss", "useful_flops", "peak_flops", "flop_utilisation",
    }  # fmt: skip
    assert 0 < found["flop_utilisation", None, "measured"].value < 1
    planned = found["peak_rss", None, "predicted"]
    assert planned.value > 1e8
    assert planned.ci_low is not None and planned.ci_high is not None
    assert planned.ci_low < planned.value < planned.ci_high


def test_the_measured_bits_are_those_of_the_saved_model(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    done = pretrain(text, tmp_path / "run")
    heldout = read_text(CONFIG, text, tmp_path).heldout
    model = load_torch(done.path).model
    nats = []
    for row in heldout:
        with torch.no_grad():
            logits = model(torch.tensor([list(row.ids)])).logits[0]
        nats.append(float(torch.nn.functional.cross_entropy(
            logits, torch.tensor(list(row.targets)), reduction="sum"
        )))  # fmt: skip
    measured = {m.lang: m.value for m in done.manifest.measurements if m.metric == "bits_per_byte"}
    for lang, interval in bits_per_byte(nats, heldout).items():
        assert measured[lang] == pytest.approx(interval.value, rel=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_reference_to_it_opens_in_llama_cpp_and_torch_with_the_same_words(
    family: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    done = pretrain(text, tmp_path / "run", family=family)
    given = as_input(f"run:{done.path}", "model")
    found = resolve(f"run:{done.path}")
    assert found.languages == LANGUAGES and given.path == done.path
    loaded = load_torch(found.path)
    with open_backend(given.path, strict=True, context=96) as backend:
        for prompt in ("कमल", "ಮಳೆ ಬಂತು", "the rain", ""):
            ids = backend.encode(prompt)
            assert ids == loaded.tokenizer.encode(prompt)
            answer = backend.generate(prompt, Sampling(max_new_tokens=16)).text
            with torch.no_grad():
                for _ in range(16):
                    best = int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())
                    if best == loaded.tokenizer.eos_id:
                        break
                    ids.append(best)
            ours = loaded.tokenizer.decode(ids[len(backend.encode(prompt)) :])
            assert answer.rstrip("�") == ours.rstrip("�")


def test_the_same_question_gives_the_same_bytes_and_other_seeds_others(
    text: Path, tmp_path: Path
) -> None:
    first, again = (pretrain(text, tmp_path / name) for name in ("one", "two"))
    other = pretrain(text, tmp_path / "other", seed=1)
    for name in ("model.gguf", "losses.jsonl", "model/model.safetensors", "budget.json"):
        assert (first.path / name).read_bytes() == (again.path / name).read_bytes(), name
    assert weights(first.path) != weights(other.path)


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(text: Path, tmp_path: Path) -> None:
    whole = pretrain(text, tmp_path / "whole", tokens=30_000)
    out = tmp_path / "killed"
    config = PretrainConfig.model_validate(SMALL | {"tokens": 30_000})
    code = (
        "import sys; from pathlib import Path\n"
        "from seemant.core.stage import execute, file_input\n"
        "from seemant.train.pretrain.config import PretrainConfig\n"
        "from seemant.train.pretrain.run import STAGE\n"
        "out = Path(sys.argv[2])\n"
        "config = PretrainConfig.model_validate_json(sys.argv[3])\n"
        "inputs = {'text': file_input(Path(sys.argv[1]))}\n"
        "execute(STAGE, config, inputs, store=out, out=out)"
    )
    command = [sys.executable, "-c", code, str(text), str(out), config.model_dump_json()]
    kills = 0
    for wait_for in ("step_000006", "step_000042"):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline:
            if any(path.name >= wait_for for path in (out / ".checkpoints").glob("step_*")):
                os.kill(child.pid, signal.SIGKILL)
                break
            time.sleep(0.005)
        kills += child.wait() == -signal.SIGKILL
    assert kills >= 1
    done = pretrain(text, out, tokens=30_000)
    assert read_events(out, "resumed")
    for name in ("model.gguf", "losses.jsonl", "model/model.safetensors"):
        assert (done.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    plain = [m for m in done.manifest.measurements if not m.timed]
    assert plain == [m for m in whole.manifest.measurements if not m.timed]


def test_minutes_become_tokens_once(text: Path, tmp_path: Path) -> None:
    done = pretrain(text, tmp_path / "run", tokens=None, minutes=0.02)
    budget = read_json(done.path / "budget.json")
    assert budget["found"] == "timed" and budget["steps"] >= 1
    given = pretrain(text, tmp_path / "given", tokens=budget["tokens"])
    assert read_json(given.path / "budget.json")["steps"] == budget["steps"]
    assert weights(given.path) == weights(done.path)


def test_the_timed_steps_clip_and_hold_the_normaliser_as_the_run_does(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.train.pretrain import session

    clips, settings = [], []

    def clip(parameters: Any, most: float) -> torch.Tensor:
        clips.append(most)
        return real_clip(parameters, most)

    def student(decoder: Any, loss: Any, fill: int) -> Any:
        settings.append(loss)
        return real_student(decoder, loss, fill)

    real_clip, real_student = torch.nn.utils.clip_grad_norm_, session.Student
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    monkeypatch.setattr(session, "Student", student)
    config = CONFIG.model_copy(update={"clip": 0.5, "z_loss": 1e-4})
    ready = session.read_text(config, text, tmp_path)
    assert session._speed(config, session.hf_config(config, ready.tokenizer), ready.train) > 0
    assert set(clips) == {0.5} and settings[0].z_loss == 1e-4


def test_a_step_takes_the_tokens_asked_for(text: Path, tmp_path: Path) -> None:
    done = pretrain(text, tmp_path / "run", batch_tokens=100, micro_tokens=4096, tokens=600)
    lines = [json.loads(each) for each in (done.path / "losses.jsonl").read_text().splitlines()]
    assert len(lines) >= 6 and max(line["tokens"] for line in lines if "tokens" in line) <= 100


def test_a_run_that_goes_on_keeps_the_budget_it_found(text: Path, tmp_path: Path) -> None:
    from seemant.train.pretrain.budget import budget_of

    windows = read_text(CONFIG, text, tmp_path).train
    config = PretrainConfig.model_validate(SMALL | {"tokens": None, "minutes": 1.0})
    speeds = iter([1000.0, 9999.0])
    first, again = (
        budget_of(tmp_path, windows, config, heldout_tokens=0, tokens_a_second=lambda: next(speeds))
        for _ in range(2)
    )
    assert first == again and first.tokens == pytest.approx(60_000, rel=0.02)
    assert next(speeds) == 9999.0


def test_too_little_memory_is_said_before_the_first_step(text: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the plan needs"):
        pretrain(text, tmp_path / "run", memory_limit="50MB")


def test_the_plan_counts_every_compiled_kernel_that_the_run_may_keep() -> None:
    from seemant.models.decoder.kernel_cache import KERNEL_BYTES
    from seemant.train.memory import phases, terms
    from seemant.train.pretrain import recipe
    from seemant.train.pretrain.plan import peak_planned
    from seemant.train.pretrain.shape import hf_config
    from seemant.train.pretrain.vocabulary import byte_metadata, tokenizer_of

    said = hf_config(CONFIG, tokenizer_of(byte_metadata()))
    found = peak_planned(CONFIG, said, 10**8).terms
    most = found[phases.RUNTIME] + found[phases.KERNELS] - 10**8
    assert most >= recipe.KERNELS * KERNEL_BYTES > terms.KERNELS * KERNEL_BYTES


def test_bad_input_is_refused(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="micro_tokens"):
        pretrain(text, tmp_path / "run", micro_tokens=32)
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    with pytest.raises(BadRecord, match="no document"):
        pretrain(empty, tmp_path / "empty")


def test_the_stage_is_described_without_loading_torch() -> None:
    code = "import sys, seemant.train.pretrain.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_can_be_compressed_like_any_other_model(text: Path, tmp_path: Path) -> None:
    from seemant.compress.config import CompressConfig
    from seemant.compress.run import STAGE as COMPRESS

    done = pretrain(text, tmp_path / "run")
    given = {"model": as_input(f"run:{done.path}", "model")}
    config = CompressConfig(bits=4, group=32, embedding_bits=8)
    packed = execute(COMPRESS, config, given, store=tmp_path, out=tmp_path / "packed")
    assert (
        resolve(f"run:{packed.path}").path.stat().st_size
        < done.path.joinpath("model.gguf").stat().st_size
    )
    on_grid = read_json(packed.path / "variant.json")["on_reference_grid"]
    assert on_grid is False  # it was never rounded before: an exact reference
