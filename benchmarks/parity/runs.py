"""Whole runs that must not depend on how they were carried out: killed, or shared by two ranks."""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m-instruct"
STEPS = 12
SETTINGS = {
    "steps": STEPS,
    "batch": 1,
    "accumulation": 3,
    "dropout": 0.1,
    "max_length": 96,
    "save_every": 2,
    "heldout_share": 0.1,
    "eval_every": 6,
}
RANKS_BAR = 1e-6  # relative, of every tensor of the first step's gradient
CURVE_BAR = 2e-4  # nats: AdamW's first updates are signs, so rounding grows from step to step
_SAME = ("adapter/adapter_model.safetensors", "adapter.gguf", "losses.jsonl", "student.json")


def resume_rows(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return how many runs, each killed after a step, end with other bytes than a whole one."""
    pairs = write_pairs(folder / "pairs.jsonl", n=20)  # 36 micro-batches: an epoch ends in between
    settings = SETTINGS | {"threads": args.threads}
    whole = folder / "whole"
    finish(pairs, whole, settings)
    different, resumed = [], []
    for step in range(1, STEPS):
        out = folder / f"killed_{step}"
        killed = kill_after(step, pairs, out, settings)
        finish(pairs, out, settings)
        if any((whole / n).read_bytes() != (out / n).read_bytes() for n in _SAME):
            different.append(step)
        resumed.append(killed)
    return [
        {
            "what": f"{MODEL}, {STEPS} steps: runs killed after a step that end with other bytes",
            "value": len(different),
            "bar": 0,
            "holds": not different and all(resumed),
            "different": different,
            "kills": sum(resumed),
            "n": len(resumed),
        }
    ]


def rank_rows(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return how far two processes are from one: in the first gradient and in the losses."""
    pairs = write_pairs(folder / "pairs.jsonl", n=20)
    settings = SETTINGS | {"threads": 1, "accumulation": 4}
    curves, moments = {}, {}
    for size in (1, 2):
        first, out = folder / f"first_of_{size}", folder / f"of_{size}"
        run_ranks(size, pairs, first, settings | {"steps": 1})
        moments[size] = first_moments(first)
        run_ranks(size, pairs, out, settings)
        curves[size] = [json.loads(each)["loss"] for each in (out / "losses.jsonl").open()][1:]
    gaps = {
        name: float((moments[2][name] - wanted).norm() / wanted.norm())
        for name, wanted in moments[1].items()
        if wanted.norm() > 0
    }
    worst = max(gaps.values())
    curve = max(abs(a - b) for a, b in zip(curves[1], curves[2], strict=True))
    return [
        {
            "what": f"{MODEL}: gradient of step 1, two processes against one, worst tensor",
            "value": worst,
            "bar": RANKS_BAR,
            "holds": worst <= RANKS_BAR,
            "tensors": len(gaps),
        },
        {
            "what": f"{MODEL}: {STEPS} losses, two processes against one, nats",
            "value": curve,
            "bar": CURVE_BAR,
            "holds": curve <= CURVE_BAR,
        },
    ]


def write_pairs(path: Path, *, n: int) -> Path:
    """Write pairs of neighbouring sentences of the shipped English texts."""
    lines = (files("seemant.corpus") / "data" / "en.jsonl").read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as out:
        for line in lines[:n]:
            record = json.loads(line)
            parts = re.split(r"(?<=[.?!])\s+", record["text"])
            pair = {
                "instruction": "What comes next?",
                "input": parts[0],
                "output": parts[1],
                "lang": "en",
                "id": record["id"],
                "paragraph_id": record["id"],
            }
            out.write(json.dumps(pair) + "\n")
    return path


def command(pairs: Path, out: Path, settings: dict[str, Any]) -> list[str]:
    """Return the command line of a run."""
    flags = [
        word for key, value in settings.items() for word in (f"--{key.replace('_', '-')}", value)
    ]
    words = [sys.executable, "-m", "seemant", "train", f"embedded:{MODEL}", pairs, *flags]
    return [str(word) for word in (*words, "--out", out)]


def finish(pairs: Path, out: Path, settings: dict[str, Any]) -> None:
    """Run to the end, going on from whatever is there."""
    done = subprocess.run(
        command(pairs, out, settings), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def kill_after(step: int, pairs: Path, out: Path, settings: dict[str, Any]) -> bool:
    """Run until step `step` is logged, then SIGKILL the whole group; False if it ended first."""
    with (out.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            command(pairs, out, settings), stdout=log, stderr=log, start_new_session=True
        )
    events = out / "events.jsonl"
    mark = re.compile(rf'"step": ?{step}\b')
    while process.poll() is None:
        if events.is_file() and mark.search(events.read_text()):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.01)
    return False


def run_ranks(size: int, pairs: Path, out: Path, settings: dict[str, Any]) -> None:
    """Run the session as `size` ranks, as a launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    given = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    out.mkdir()
    words = [sys.executable, str(Path(__file__).with_name("rank.py")), str(pairs), str(out)]
    words.append(json.dumps(settings))
    ranks: Sequence[subprocess.Popen[str]] = [
        subprocess.Popen(
            words, env=os.environ | given | {"RANK": str(rank)}, stderr=subprocess.PIPE, text=True
        )
        for rank in range(size)
    ]
    for process in ranks:
        _, error = process.communicate()
        if process.returncode:
            raise SystemExit(error[-3000:])


def first_moments(out: Path) -> dict[str, Any]:
    """Return AdamW's first moments after step 1: a tenth of the step's gradient."""
    from safetensors.torch import load_file

    tensors = load_file(out / ".checkpoints" / "step_000001" / "tensors.safetensors")
    return {name: each.double() for name, each in tensors.items() if "exp_avg" in name and
            "exp_avg_sq" not in name}  # fmt: skip
