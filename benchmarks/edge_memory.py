"""Claim: Gemma 3 1B is fine-tuned inside a memory group of 2.0, 1.6 and 1.3 GB, on one small CPU.

    python benchmarks/edge_memory.py [--full] [--steps 3] [--threads N] [--only CASE ...]

Real shapes (`config:google/gemma-3-1b-it`), random weights, r 8 on every linear layer, rows of 256
tokens with half of them answers, batch 1, accumulation 8, AdamW: real optimiser steps. The plan of
each run is searched for a little under its bar on peak RSS; the run itself is inside an enforced
group, from before its first import. RSS is the headline: library pages that another process
touched first are not charged to a group. TRL, as it comes and in bfloat16, takes turns with our
8-bit and 4-bit runs for the times; then each peer gets the 3.2 GB that a 4 GB board leaves.
About 20 minutes; a killed `--full` run goes on behind its last finished part.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from claim import finished, machine, say_claim
from peers.drive import Dead, Worker, summary, turns
from peers.venv import peer_python, versions
from peers.work import (
    answer_share,
    hf_folder,
    random_rows,
    shipped_config,
    write_rows,
    write_start,
)

from seemant.core.machine import cores, load_average
from seemant.train.memory.limit import limit_of

GB = 1_000_000_000
MODEL, VOCABULARY = "google/gemma-3-1b-it", 262_144
WARMUP = 1
# group: GB of the enforced group. plan: GB that the plan is searched for, under the bar by what
# the allocator may add. slower: most times TRL's step time.
OURS: dict[str, dict[str, Any]] = {
    "int8": {"base": "int8", "group": 2.0, "plan": 1.6, "bar": 1.7, "slower": 1.0},
    "int4": {"base": "int4", "group": 1.6, "plan": 1.3, "bar": 1.35, "slower": 1.1},
    "int4-embedding4": {"base": "int4", "group": 1.3, "plan": 1.12, "bar": 1.15},
    "stretch": {"base": "int4", "group": 1.1, "plan": 1.0, "bar": 1.0, "stretch": True},
}
EMBEDDING4 = ("int4-embedding4", "stretch")
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "trl": ("peer_trl.py", {"checkpointing": True}),
    "hf-ckpt": ("peer_hf.py", {"checkpointing": True}),
    "hf": ("peer_hf.py", {"checkpointing": False}),
}
ROOMS = (3.2, 4.0)  # GB that the peers are given


def main() -> int:
    """Measure, print rows, end with one line of JSON; 0 when the bars hold."""
    args = arguments()
    print(machine())
    print(f"peers: {versions()}; {args.threads} threads each; load average {load_average():.2f}")
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as folder:
        spec = work(Path(folder), args)
        rows = []
        asked = {"steps": args.steps, "threads": args.threads}
        for part, make in parts(spec, args):
            found = finished("edge_memory", part, asked, make, keep=args.full)
            rows += found
            for row in found:
                print(json.dumps(row), flush=True)
    judged = [row for row in rows if row["bar"] is not None]
    worst = max(judged, key=lambda row: row["value"] / row["bar"], default={"value": 0, "bar": 0})
    holds = bool(judged) and all(row["holds"] for row in judged)
    say_claim(
        name="edge_memory",
        value=worst["value"],
        bar=worst["bar"],
        holds=holds,
        n=args.steps,
        peer="trl",
        rows=rows,
    )
    return 0 if holds else 1


def parts(
    spec: Mapping[str, Any], args: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
    """Yield what was asked for, each by its name: what takes turns is one part."""
    timed = [name for name, case in OURS.items() if "slower" in case and chosen(name, args)]
    if timed:
        yield f"race-{'-'.join(timed)}", partial(race, timed, spec, args)
    for name, case in OURS.items():
        if "slower" not in case and chosen(name, args):
            yield name, partial(alone, name, spec, args)
    for name in PEERS:
        for room in ROOMS if args.full else ROOMS[:1]:
            if chosen(name, args):
                yield f"{name}-{room}", partial(peer_in_room, name, room, spec)


def work(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Write the rows and the adapters' start; return what every trainer is told."""
    rows = random_rows(VOCABULARY, length=256, share=0.5, n=8 * (WARMUP + args.steps))
    config = shipped_config(MODEL)
    print(f"{MODEL}: 1 x 256, accumulation 8, answers {answer_share(rows):.0%}")
    return {
        "model": str(config),
        "tokenizer": str(hf_folder("gemma-3-270m")),  # the same vocabulary; only its pad is used
        "dtype": "bfloat16",
        "rows": str(write_rows(folder / "rows.json", rows, batch=1, accumulation=8)),
        "start": str(write_start(folder / "start.safetensors", config, rank=8, seed=0)),
        "rank": 8,
        "alpha": 16,
        "lr": 1e-4,
        "clip": 1.0,
        "threads": args.threads,
        "max_length": 256,
        "checkpointing": True,
    }


def race(
    names: list[str], spec: Mapping[str, Any], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return memory and speed of our timed runs, which take turns with TRL."""
    with ExitStack() as stack:
        ours = {name: start(name, spec, stack) for name in names}
        trl = stack.enter_context(Worker("trl", peer_python(), *told("trl", spec)))
        ready = {name: worker.ready() for name, worker in ours.items()}
        trl.ready()
        taken = turns([*ours.values(), trl], args.steps, WARMUP)
        theirs = summary(taken["trl"])
        rows = []
        for name, worker in ours.items():
            mine = summary(taken[name])
            rows.append(memory_row(name, worker, ready[name], mine))
            rows.append(
                line(name, "step time to TRL's", mine["step_s"] / theirs["step_s"],
                     OURS[name]["slower"])
                | {"ours_s": mine["step_s"], "peer_s": theirs["step_s"], "peer": "trl",
                   "peer_peak_gb": trl.peak / GB, "peer_rows_per_s": theirs["rows_per_s"]}
            )  # fmt: skip
        return rows


def alone(name: str, spec: Mapping[str, Any], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the row of a case that is not timed against a peer."""
    case = OURS[name]
    with ExitStack() as stack:
        worker = start(name, spec, stack)
        try:
            ready = worker.ready()
            mine = summary(turns([worker], args.steps, WARMUP)[name])
        except Dead as error:
            row = line(name, "alive", 0.0, None if "stretch" in case else 1.0)
            return [row | {"group_gb": case["group"], "said": str(error)[-300:]}]
        return [memory_row(name, worker, ready, mine)]


def peer_in_room(name: str, room: float, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return whether a peer lives through its steps in so many GB, and at what peak."""
    with (
        limit_of(room * GB) as limit,
        Worker(name, peer_python(), *told(name, spec), limit=limit) as worker,
    ):
        row = {"part": name, "what": "alive", "bar": None, "group_gb": room}
        row |= {"held_by": limit.how, "holds": True}
        try:
            ready = worker.ready()
            taken = turns([worker], 1, WARMUP)[name]
            row |= summary(taken) | {"value": 1.0, "peak_gb": worker.peak / GB}
            row["load_peak_gb"] = ready["load_peak"] / GB
        except Dead as error:
            row |= {"value": 0.0, "exit": error.code, "said": error.tail[-200:]}
        account = limit.account()
        row["charged"] = str(account) if account else None
    return [row]


def start(name: str, spec: Mapping[str, Any], stack: ExitStack) -> Worker:
    """Start one of our runs inside its group; its plan is searched for the bar."""
    case = OURS[name]
    limit = stack.enter_context(limit_of(case["group"] * GB))
    more = {"base": case["base"], "embedding": "int4" if name in EMBEDDING4 else "int8"}
    more["limit"] = int(case["plan"] * GB)
    return stack.enter_context(
        Worker(name, Path(sys.executable), "ours.py", {**spec, **more}, limit=limit)
    )


def told(name: str, spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a peer's program and what it is told."""
    script, settings = PEERS[name]
    return script, {**spec, **settings}


def memory_row(
    name: str, worker: Worker, ready: Mapping[str, Any], mine: Mapping[str, float]
) -> dict[str, Any]:
    """Return the row of one run's peak RSS over its whole life, loading included."""
    case = OURS[name]
    peak = max(worker.peak, ready["load_peak"]) / GB
    bar = None if case.get("stretch") else case["bar"]
    return line(name, "peak RSS, GB", peak, bar) | {
        "goal": case["bar"],
        "group_gb": case["group"],
        "steps_peak_gb": worker.peak / GB,
        "load_peak_gb": ready["load_peak"] / GB,
        "plan": ready["plan"],
        "step_s": mine["step_s"],
        "rows_per_s": mine["rows_per_s"],
        "n": mine["n"],
    }


def line(part: str, what: str, value: float, bar: float | None) -> dict[str, Any]:
    """Return one row; smaller is better, but "alive" must be 1."""
    holds = bar is None or (value >= bar if what == "alive" else value <= bar)
    return {"part": part, "what": what, "value": value, "bar": bar, "holds": holds}


def chosen(name: str, args: argparse.Namespace) -> bool:
    """Return whether a case was asked for."""
    return not args.only or name in args.only


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3, help="measured optimiser steps a trainer")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--full", action="store_true", help="peers in 4.0 GB too, more steps")
    parser.add_argument("--only", nargs="+", default=[], choices=[*OURS, *PEERS])
    args = parser.parse_args()
    if args.full:
        args.steps = max(args.steps, 8)
    return args


if __name__ == "__main__":
    sys.exit(main())
