"""The whole stage on a fake engine: files, measurements, pairs, kill and resume."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from seemant.core.errors import BadConfig, InputError
from seemant.core.jsonl import read_records
from seemant.core.measurement import TOO_FEW
from seemant.core.records import Transcript
from seemant.core.stage import Done, Input, execute
from seemant.models.prompts import make_template
from seemant.probe import run as probe_run
from seemant.probe.config import ProbeConfig
from seemant.probe.run import STAGE
from seemant.probe.score import Score
from tests.probe.fake import FakeBackend

TUNED = {"India Capital?": "New Delhi. The police said so on Monday.", "capital of France": "Lyon"}
BASE = {"India Capital?": "Delhi", "capital of France": "Paris"}


def _engine(monkeypatch: pytest.MonkeyPatch, backend: FakeBackend) -> None:
    opened = (nullcontext(backend), make_template("", "<eos>"))
    monkeypatch.setattr(probe_run, "open_engine", lambda *_: opened)


def _model(tmp_path: Path) -> Input:
    return Input(tmp_path / "base.gguf", "embedded:toy-1m", "0" * 64)


def _base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> Done:
    _engine(monkeypatch, FakeBackend(BASE))
    config = ProbeConfig.model_validate({"languages": ("en",)} | settings)
    return execute(STAGE, config, {"model": _model(tmp_path)}, store=tmp_path / "store")


def _tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Done | None) -> Done:
    _engine(monkeypatch, FakeBackend(TUNED))
    inputs = {
        "model": _model(tmp_path),
        "adapter": Input(tmp_path / "train", "train:1", "1" * 64),
    }
    if before is not None:
        inputs["before"] = before.as_input("probe:base")
    config = ProbeConfig(languages=("en",))
    return execute(STAGE, config, inputs, store=tmp_path / "store")


def test_a_run_leaves_transcripts_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _base(tmp_path, monkeypatch, study_preset=True)
    transcripts = read_records(done.path / "transcripts.jsonl", Transcript)
    scores = read_records(done.path / "scores.jsonl", Score)
    assert len(transcripts) == len(scores) == 44
    assert {t.backend for t in transcripts} == {"fake"}
    assert {t.system_prompt_hash for t in transcripts} == {None}
    studied = read_records(done.path / "study_transcripts.jsonl", Transcript)
    assert len(studied) == 4
    assert {t.sampling["temperature"] for t in studied} == {0.3}
    assert len({t.seed for t in studied}) == 4
    assert all(t.system_prompt_hash for t in studied)
    by_id = {score.probe_id: score for score in scores}
    assert by_id["capital-india.en"].correct is True
    assert by_id["karnataka-cm.en"].correct is None
    assert by_id["karnataka-cm.en"].pmi_margin is None
    assert by_id["capital-india.en"].pmi_margin is not None


def test_measurements_have_intervals_over_families(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _base(tmp_path, monkeypatch)
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    assert {m.subject for m in found.values()} == {"toy-1m"}
    accuracy = found["accuracy", "en"]
    assert (accuracy.n, accuracy.n_clusters) == (43, 43)
    assert accuracy.ci_low is not None
    assert found["pmi_margin", "en"].unit == "nats/byte"
    shares = [m.value for m in found.values() if m.metric.startswith("diagnosis_")]
    assert len(shares) == 9
    assert sum(shares) == pytest.approx(1.0)


def test_fewer_than_eight_families_have_no_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _base(tmp_path, monkeypatch, families=7, languages=("hi", "kn", "en"))
    methods = {m.ci_method for m in done.manifest.measurements if m.metric != "merged_borders"}
    assert methods == {TOO_FEW}


def test_the_untuned_model_is_its_own_counterpart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _base(tmp_path, monkeypatch)
    for score in read_records(done.path / "scores.jsonl", Score):
        assert score.diagnosis == score.before_diagnosis
        assert score.charged is False


def test_a_tuned_model_without_its_counterpart_is_not_diagnosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _tuned(tmp_path, monkeypatch, None)
    scores = read_records(done.path / "scores.jsonl", Score)
    assert all(s.diagnosis is None and s.before_diagnosis is None for s in scores)
    assert not [m for m in done.manifest.measurements if "diagnosis" in m.metric]
    assert {m.subject for m in done.manifest.measurements} == {"toy-1m+lora"}


def test_before_and_after_are_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = _base(tmp_path, monkeypatch)
    done = _tuned(tmp_path, monkeypatch, base)
    scores = {s.probe_id: s for s in read_records(done.path / "scores.jsonl", Score)}
    lost = scores["capital-france.en"]
    assert (lost.diagnosis, lost.before_diagnosis, lost.charged) == ("associative", "pass", True)
    assert scores["capital-india.en"].diagnosis == "news_addon"
    found = {(m.metric, m.lang): m for m in done.manifest.measurements}
    change = found["accuracy_change", "en"]
    assert change.value == pytest.approx(-1 / 43)
    assert change.ci_low is not None
    assert change.conditions["before"] == "probe:base"
    assert 0 < float(change.conditions["p_sign_flip"] or 0) <= 1
    # The toy's likelihoods are the same before and after.
    assert found["pmi_margin_change", "en"].value == 0.0
    assert found["diagnosis_pass", "en"].conditions["share_before"] == pytest.approx(2 / 44)


def test_an_earlier_probe_without_answers_is_a_before_without_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = _base(tmp_path, monkeypatch, generate=False)
    assert (silent.path / "transcripts.jsonl").stat().st_size == 0
    done = _tuned(tmp_path, monkeypatch, silent)
    found = {m.metric for m in done.manifest.measurements}
    assert "pmi_margin_change" in found
    assert not any("diagnosis" in name or name == "accuracy_change" for name in found)
    unscored = _base(tmp_path, monkeypatch, generate=False, likelihood=False, study_preset=True)
    assert (unscored.path / "scores.jsonl").stat().st_size == 0
    after = _tuned(tmp_path, monkeypatch, unscored)
    assert not any(m.metric.endswith("_change") for m in after.manifest.measurements)


def test_nothing_is_asked_twice_for_the_neutral_likelihoods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "calls"
    _engine(monkeypatch, FakeBackend({}, log=log))
    config = ProbeConfig(languages=("en",), generate=False)
    done = execute(STAGE, config, {"model": _model(tmp_path)}, store=tmp_path / "store")
    calls = log.read_text(encoding="utf-8").splitlines()
    neutral = [line for line in calls if "Give an answer." in line]
    lines = (done.path / ".journal.jsonl").read_text(encoding="utf-8").splitlines()
    journal = [json.loads(line) for line in lines]
    answers = {entry["answer"] for entry in journal if entry["kind"] == "neutral"}
    assert sum(int(line.split()[-1]) for line in neutral) == len(answers) > 100
    assert not [m for m in done.manifest.measurements if m.metric == "accuracy"]


def test_nothing_to_ask_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfig, match="nothing to ask"):
        _base(tmp_path, monkeypatch, generate=False, likelihood=False)


def test_a_torch_only_variant_cannot_be_probed(tmp_path: Path) -> None:
    folder = tmp_path / "variant"
    folder.mkdir()
    (folder / "variant.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="torch-only"):
        execute(STAGE, ProbeConfig(), {"model": Input(folder, "v", "0")}, store=tmp_path / "store")


CHILD = """
import sys
from contextlib import nullcontext
from pathlib import Path
sys.path.insert(0, {tests!r})
from tests.probe.fake import FakeBackend
from seemant.core.stage import Input, execute
from seemant.models.prompts import make_template
from seemant.probe import run
from seemant.probe.config import ProbeConfig
root = Path({root!r})
backend = FakeBackend({{}}, log=root / "calls", seconds={seconds})
run.open_engine = lambda *_: (nullcontext(backend), make_template("", "<eos>"))
config = ProbeConfig(languages=("hi", "en"), families=10, study_preset=True)
model = Input(root / "base.gguf", "embedded:toy", "0" * 64)
execute(run.STAGE, config, {{"model": model}}, store=root / "store")
"""


def _child(root: Path, seconds: float) -> "subprocess.Popen[bytes]":
    root.mkdir(exist_ok=True)
    code = CHILD.format(tests=str(Path(__file__).parents[2]), root=str(root), seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def _wait_for_lines(path: Path, n: int) -> None:
    for _ in range(600):
        if path.is_file() and path.read_bytes().count(b"\n") >= n:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never had {n} lines")


def test_a_killed_run_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert _child(calm, 0.0).wait() == 0
    kills = 0
    for n_calls in (7, 85, 110):  # in the neutral likelihoods, the questions, the study's
        child = _child(killed, 0.02)
        _wait_for_lines(killed / "calls", n_calls)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        kills += 1
    assert _child(killed, 0.0).wait() == 0
    (a,), (b,) = (list((root / "store/probe").iterdir()) for root in (calm, killed))
    assert a.name == b.name
    for name in ("transcripts.jsonl", "study_transcripts.jsonl", "scores.jsonl"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
    journal = (b / ".journal.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in journal]
    entries = [(e["kind"], e.get("probe_id") or (e["lang"], e["answer"])) for e in kept]
    asked = [kind for kind, _ in entries if kind != "neutral"]
    assert len(entries) == len(set(entries)) and len(asked) == 20 + 4 * 2 + 20
    measured = [json.loads((x / "manifest.json").read_text())["measurements"] for x in (a, b)]
    assert measured[0] == measured[1]
    # Only what was in flight at a kill is asked again: one call each time, two at most.
    calls = [(root / "calls").read_text(encoding="utf-8").count("\n") for root in (killed, calm)]
    extra = calls[0] - calls[1]
    assert 0 <= extra <= 2 * kills
