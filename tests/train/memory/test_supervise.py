"""A limited run: planned, held, tried again with less, and honest about how it was held."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from seemant.core import machine_cache
from seemant.core.errors import InputError, WorldError
from seemant.core.jsonl import write_json
from seemant.core.measurement import Measurement
from seemant.core.runlog import log_event, read_events
from seemant.core.stage import Input, Inputs
from seemant.train.config import TrainConfig
from seemant.train.memory import supervise
from seemant.train.memory.limit import Way
from seemant.train.memory.misses import misses
from seemant.train.memory.supervise import train_limited

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
WAY: tuple[Way, ...] = ("cgroup v2", "cgroup v1", "rlimit data")
TINY: dict[str, Any] = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "vocab_size": 512,
    "tie_word_embeddings": True,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose runtime takes 20 MB: the stand-in imports no torch."""
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    machine_cache.remember("runtime_bytes_torch", 20_000_000)
    return tmp_path / "cache"


def asked(**settings: object) -> TrainConfig:
    return TrainConfig.model_validate({"memory_limit": "700MB", "max_length": 64, **settings})


def run(
    folder: Path,
    config: TrainConfig,
    said: dict[str, Any],
    *,
    ways: tuple[Way, ...] = WAY,
) -> tuple[list[Measurement], Path, list[str]]:
    out, texts = folder / "out", []
    out.mkdir(exist_ok=True)
    write_json(folder / "config.json", TINY)
    write_json(folder / "said.json", said)
    inputs: Inputs = {
        "model": Input(folder / "config.json", "config:tiny", "0"),
        "pairs": Input(folder / "said.json", "pairs", "1"),
    }
    found = train_limited(config, inputs, out, ways=ways, command=FAKE, say=texts.append)
    return found, out, texts


def test_a_run_that_fits_gives_its_measurements_how_it_was_held_and_the_plan_s_own(
    tmp_path: Path,
) -> None:
    found, out, texts = run(tmp_path, asked(), {"mb_kept": 30, "mb_again": 10})
    peaks = {m.origin: m for m in found if m.metric == "peak_rss"}
    assert set(peaks) == {"measured", "predicted"}
    assert peaks["measured"].conditions["limit_how"] in WAY
    assert peaks["measured"].conditions["limit_enforced"] is True
    assert peaks["predicted"].subject == peaks["measured"].subject == "fake"
    assert [m.value for m in found if m.metric == "steps_here"] == [3]
    (plan,), (limit,) = read_events(out, "plan"), read_events(out, "limit")
    assert plan["peak_bytes"] == peaks["predicted"].value and plan["search"]
    assert limit["ending"] == "done"
    assert "peak" in texts[1] and "search" in texts[0]


def test_a_try_that_runs_out_is_made_again_with_a_smaller_plan_from_where_it_was(
    tmp_path: Path,
) -> None:
    found, out, texts = run(tmp_path, asked(), {"mb_kept": 900, "mb_again": 10})
    plans = read_events(out, "plan")
    assert len(plans) > 1
    for first, second in pairwise(plans):
        assert second["peak_bytes"] <= 0.93 * first["peak_bytes"]
    assert not plans[0]["checkpointing"] and plans[-1]["checkpointing"]
    *failed, last = [event["ending"] for event in read_events(out, "limit")]
    assert set(failed) == {"out of memory"} and last == "done"
    assert [m.value for m in found if m.metric == "steps_here"] == [2]  # step 1 was kept
    said = next(text for text in texts if text.startswith("out of memory"))
    assert "what grew: every layer live" in said and "after step 1" in said


def test_after_three_smaller_plans_it_gives_up_and_says_what_would_fit(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="ran out of memory") as caught:
        run(tmp_path, asked(), {"mb_kept": 900, "mb_again": 900})
    tries = len(read_events(tmp_path / "out", "plan"))
    assert 2 <= tries <= 1 + supervise.RETRIES
    assert caught.value.fix is not None and "--memory-limit" in caught.value.fix


def test_a_watcher_stops_the_run_cleanly_and_is_not_reported_as_enforced(tmp_path: Path) -> None:
    said = {"mb_kept": 750, "mb_again": 2, "slowly": True}
    config = asked()
    found, out, _ = run(tmp_path, config, said, ways=("watcher",))
    endings = [event["ending"] for event in read_events(out, "limit")]
    assert endings[0] == "stopped for memory" and endings[-1] == "done"
    assert all(not event["enforced"] for event in read_events(out, "limit"))
    (peak,) = (m for m in found if m.metric == "peak_rss" and m.origin == "measured")
    assert peak.conditions["limit_enforced"] is False


def test_what_the_training_refuses_comes_out_as_it_was_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair is left") as caught:
        run(tmp_path, asked(), {"refuse": True})
    assert (caught.value.where, caught.value.fix) == ("pairs", "give pairs")


def test_a_worker_killed_by_another_hand_is_no_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="not by its memory limit"):
        run(tmp_path, asked(), {"die": True})
    assert len(read_events(tmp_path / "out", "plan")) == 1


def test_no_plan_is_an_error_of_the_input_and_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan fits"):
        run(tmp_path, asked(memory_limit="25MB"), {"mb_kept": 1, "mb_again": 1})
    assert read_events(tmp_path / "out") == []


def test_the_miss_is_kept_and_becomes_the_next_plan_s_interval(tmp_path: Path) -> None:
    assert misses() == []
    run(tmp_path, asked(), {"mb_kept": 30, "mb_again": 10})
    (miss,) = misses()
    assert -1 < miss < 5
    run(tmp_path, asked(), {"mb_kept": 30, "mb_again": 10})
    assert len(misses()) == 1  # the same kind of run counts once
    plan = read_events(tmp_path / "out", "plan")[-1]
    assert plan["miss_from"] == "largest of 1 misses on this machine"


def test_the_phase_of_a_failure_is_read_from_the_events_since_its_plan(tmp_path: Path) -> None:
    log_event(tmp_path, "plan")
    log_event(tmp_path, "step", step=9)
    log_event(tmp_path, "plan")
    assert supervise._reached(tmp_path) == ("load", "before its first step")
    log_event(tmp_path, "checked")
    assert supervise._reached(tmp_path) == ("step, backward", "in its first step")
    log_event(tmp_path, "step", step=4)
    assert supervise._reached(tmp_path) == ("step, backward", "after step 4")


def test_the_threshold_gives_freed_blocks_back_at_once() -> None:
    code = """
import sys
from seemant.core.memory import anonymous_bytes
from seemant.train.memory.worker import fix_allocator
if sys.argv[1] == "fixed" and not fix_allocator(128 * 1024):
    sys.exit(9)
for _ in range(3):  # the default threshold grows with what was freed
    block = bytearray(b"x") * 20_000_000
    del block
keep, hole = bytearray(b"x") * 16_000_000, None
hole = bytearray(b"x") * 16_000_000
top = bytearray(b"x") * 1_000_000  # lies above the hole, so that the heap cannot shrink
del hole
print(anonymous_bytes())
"""
    held = {}
    for how in ("default", "fixed"):
        done = subprocess.run(
            [sys.executable, "-c", code, how], capture_output=True, text=True, check=False
        )
        if done.returncode == 9:
            pytest.skip("not glibc: the threshold cannot be set")
        held[how] = int(done.stdout)
    assert held["fixed"] < held["default"] - 10_000_000


def test_the_job_is_plain_json(tmp_path: Path) -> None:
    run(tmp_path, asked(), {"mb_kept": 1, "mb_again": 1})
    job = json.loads((tmp_path / "out" / ".worker" / "job.json").read_text())
    assert TrainConfig.model_validate(job["use"]) and job["malloc"] in ("default", "mmap threshold")
