"""A pretraining inside a memory limit: real processes, held and killed by the kernel."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seemant.core import machine_cache, stage
from seemant.core.errors import InputError, WorldError
from seemant.core.jsonl import read_json, write_records
from seemant.core.runlog import read_events
from seemant.core.stage import Done, execute, file_input
from seemant.corpus.shipped import shipped
from seemant.train.memory.limit import Way, best_way
from seemant.train.pretrain.config import PretrainConfig
from seemant.train.pretrain.limited import pretrain_limited
from seemant.train.pretrain.run import STAGE

TINY: dict[str, Any] = {
    "size": "0.1M", "context": 48, "batch_tokens": 256, "micro_tokens": 256, "tokens": 1500,
    "evaluations": 2, "heldout_tokens": 300, "threads": 1, "languages": ["en"],
}  # fmt: skip
HELD: tuple[Way, ...] = ("systemd scope", "cgroup v2", "cgroup v1", "rlimit data")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has been measured, so that no test waits for it."""
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    machine_cache.remember("runtime_bytes_torch", 230_000_000)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.jsonl"
    write_records(path, shipped("en")[:40])
    return path


def run(text: Path, out: Path, **more: Any) -> Done:
    config = PretrainConfig.model_validate(TINY | more)
    return execute(STAGE, config, {"text": file_input(text)}, store=out, out=out)


def test_a_run_within_its_limit_is_held_to_it_and_makes_the_bytes_of_a_free_one(
    text: Path, tmp_path: Path
) -> None:
    held = run(text, tmp_path / "held", memory_limit="2GB")
    (limit,) = read_events(held.path, "limit")
    assert limit["ending"] == "done" and limit["how"] == best_way()
    peaks = {m.origin: m for m in held.manifest.measurements if m.metric == "peak_rss"}
    assert peaks["measured"].conditions["limit_how"] == limit["how"]
    assert peaks["measured"].conditions["limit_enforced"] is limit["enforced"]
    assert 5e7 < peaks["measured"].value < 2e9
    free = run(text, tmp_path / "free")
    for name in ("model.gguf", "losses.jsonl", "model/model.safetensors"):
        assert (held.path / name).read_bytes() == (free.path / name).read_bytes(), name


def test_a_limit_below_the_smallest_plan_is_refused_and_nothing_is_started(
    text: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the plan needs"):
        run(text, tmp_path / "run", memory_limit="50MB")
    assert not (tmp_path / "run" / ".worker").exists()


def test_the_child_refuses_what_its_real_text_and_vocabulary_need(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "forget", lambda *_: None)  # the folder tells which one refused
    machine_cache.remember("runtime_bytes_torch", 1_000_000)  # the parent's count is far too low
    with pytest.raises(InputError, match="the plan needs") as caught:
        run(text, tmp_path / "run", memory_limit="330MB")
    assert caught.value.where == "--memory-limit"
    assert read_json(tmp_path / "run" / ".worker" / "error.json")["input"] is True


def test_a_child_that_takes_more_than_its_limit_is_ended_by_the_kernel(
    text: Path, tmp_path: Path
) -> None:
    """The stand-in for a plan that was too low: the child takes 1 GB in place of training."""
    script = tmp_path / "greedy.py"
    script.write_text(
        "import sys\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "held = [bytearray(b'x') * 1_000_000 for _ in range(1000)]\n"
    )
    out = tmp_path / "run"
    out.mkdir()
    config = PretrainConfig.model_validate(TINY | {"memory_limit": "600MB"})
    ways = tuple(way for way in HELD if way != "rlimit data")
    if best_way() not in ways:
        pytest.skip("no memory group here: the kernel refuses instead of killing")
    with pytest.raises(WorldError, match="out of memory") as caught:
        pretrain_limited(
            config,
            {"text": file_input(text)},
            out,
            ways=ways,
            command=(sys.executable, str(script)),
        )
    assert "--micro-tokens" in str(caught.value.fix)
    (limit,) = read_events(out, "limit")
    assert limit["ending"] == "out of memory" and limit["enforced"]
    assert limit["charged_peak_bytes"] <= 600e6


def test_a_child_that_aborts_where_memory_is_refused_ran_out_of_it(
    text: Path, tmp_path: Path
) -> None:
    """RLIMIT_DATA kills nobody: Rust and C++ are told that there is no more, and abort."""
    script = tmp_path / "aborts.py"
    script.write_text(
        "import os, sys\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "try:\n"
        "    held = bytearray(700_000_000)\n"
        "except MemoryError:\n"
        "    os.abort()\n"
    )
    out = tmp_path / "run"
    out.mkdir()
    config = PretrainConfig.model_validate(TINY | {"memory_limit": "600MB"})
    with pytest.raises(WorldError, match="out of memory"):
        pretrain_limited(
            config,
            {"text": file_input(text)},
            out,
            ways=("rlimit data",),
            command=(sys.executable, str(script)),
        )


def test_the_parent_of_a_limited_run_stays_without_torch() -> None:
    code = "import sys, seemant.train.pretrain.limited; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
