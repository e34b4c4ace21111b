"""The stage, with real runs of tiny models in real processes."""

import json
from pathlib import Path
from typing import Any

import pytest

from seemant.bench import run as bench
from seemant.bench.config import BenchConfig
from seemant.bench.run import STAGE
from seemant.core.errors import BadConfig, InputError, WorldError
from seemant.core.measurement import Measurement
from seemant.core.runlog import read_events
from seemant.core.stage import Input, execute, file_input

SMALL = BenchConfig(repeats=2, prefill_tokens=40, decode_tokens=4, context=64)


def given(*paths: Path) -> dict[str, Input]:
    return {f"variant/{path.stem}": file_input(path) for path in paths}


def by_metric(measurements: list[Measurement], subject: str) -> dict[str, Measurement]:
    return {m.metric: m for m in measurements if m.subject == subject and m.origin == "measured"}


def test_models_are_measured_in_turn_and_with_their_spread(
    tiny_gguf: Path, other_gguf: Path, tmp_path: Path
) -> None:
    done = execute(STAGE, SMALL, given(tiny_gguf, other_gguf), store=tmp_path)
    found = by_metric(done.manifest.measurements, "tiny")
    assert set(found) == {"file_bytes", "prefill", "decode", "ttft", "load", "peak_rss"}
    assert found["file_bytes"].value == tiny_gguf.stat().st_size
    for metric in ("prefill", "decode", "ttft", "load", "peak_rss"):
        one = found[metric]
        assert one.ci_low is not None and one.ci_high is not None
        assert 0 < one.ci_low <= one.value <= one.ci_high
        assert (one.ci_method, one.n, one.timed) == ("min-max of 2 runs", 2, True)
        assert one.conditions["threads"] == 1
        assert isinstance(one.conditions["load_average"], float)
    memory = found["peak_rss"]
    anonymous = memory.conditions["anonymous_bytes"]
    assert isinstance(anonymous, int) and 0 < anonymous < memory.value < 400e6
    order = [event["subject"] for event in read_events(done.path, "sample")]
    assert order == ["tiny", "other", "tiny", "other"]
    assert {file.path for file in done.manifest.files} == {"config.json", "events.jsonl"}


def test_a_resumed_bench_keeps_its_finished_runs(
    tiny_gguf: Path, other_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = bench._one, []

    def dies_at_the_third(*args: Any) -> dict[str, Any]:
        calls.append(args)
        if len(calls) == 3:
            raise WorldError("power cut")
        return real(*args)

    monkeypatch.setattr(bench, "_one", dies_at_the_third)
    inputs = given(tiny_gguf, other_gguf)
    with pytest.raises(WorldError, match="power cut"):
        execute(STAGE, SMALL, inputs, store=tmp_path)
    done = execute(STAGE, SMALL, inputs, store=tmp_path)
    assert len(calls) == 5  # two, the one that died, and the two that were missing
    assert by_metric(done.manifest.measurements, "other")["decode"].n == 2


def test_one_run_has_no_spread(tiny_gguf: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"repeats": 1})
    done = execute(STAGE, config, given(tiny_gguf), store=tmp_path)
    decode = by_metric(done.manifest.measurements, "tiny")["decode"]
    assert (decode.ci_low, decode.ci_method) == (None, "none: one run")


def test_a_file_that_is_no_model_is_the_users_mistake(tiny_gguf: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(tiny_gguf.read_bytes()[:200_000])
    with pytest.raises(InputError):
        execute(STAGE, SMALL, given(bad), store=tmp_path / "store")


def test_a_run_that_takes_too_long_is_ended(tiny_gguf: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"timeout_s": 0.05})
    with pytest.raises(WorldError, match=r"more than 0\.05 s"):
        execute(STAGE, config, given(tiny_gguf), store=tmp_path)


def test_a_process_that_dies_is_reported_with_its_last_words(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.sys, "executable", "/bin/false")
    with pytest.raises(WorldError, match="died"):
        execute(STAGE, SMALL, given(tiny_gguf), store=tmp_path)


def test_a_loaded_machine_is_warned_of(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "load_average", lambda: 7.5)
    config = SMALL.model_copy(update={"repeats": 1})
    done = execute(STAGE, config, given(tiny_gguf), store=tmp_path)
    (warning,) = read_events(done.path, "warning")
    assert "7.5" in warning["text"]


def test_tokens_that_do_not_fit_the_context_are_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"context": 43})
    with pytest.raises(BadConfig, match="43"):
        execute(STAGE, config, given(tiny_gguf), store=tmp_path)


def test_a_variant_without_a_file_is_skipped_and_said(tiny_gguf: Path, tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.mkdir()
    (codes / "variant.json").write_text(json.dumps({"subject": "x/int8"}))
    config = SMALL.model_copy(update={"repeats": 1})
    inputs = given(tiny_gguf) | {"variant/int8": file_input(codes)}
    done = execute(STAGE, config, inputs, store=tmp_path / "store")
    assert {m.subject for m in done.manifest.measurements} == {"tiny"}
    assert "int8" in read_events(done.path, "warning")[0]["text"]
