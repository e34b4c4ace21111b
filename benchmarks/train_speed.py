"""Claim: a step of `train` against TRL 1.16 and plain transformers + PEFT, turn by turn.

    python benchmarks/train_speed.py [--full] [--steps 5] [--threads N] [--only PART ...]

Every trainer is a process of its own and makes one optimiser step when told; who goes first
changes each round, so all see the same load. Same weights, rows, start of the adapters (r 8 on
every linear layer of the blocks, B = 0), AdamW and clipping. Peers, in their own venv:

    trl            SFTTrainer as it comes: gradient checkpointing on
    trl-no-ckpt    the same with checkpointing off
    trl-packed     packing (best-fit decreasing) into bins of 512, checkpointing off; reported
    hf             transformers + PEFT, the loop by hand: all logits, masked labels
    hf-kept        the same, asking for the logits of answer positions only; reported

A ratio is the peer's median seconds over ours. Held against the bars are the better of TRL's two
settings, and `hf`. `--memory-limit`: our run searches its plan for half of TRL's peak and is held
to it. bfloat16 rows are skipped, and say so, on a CPU without bf16 units. About 20 minutes; a
killed `--full` run goes on behind its last finished part.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from claim import finished, machine, say_claim
from peers.drive import Worker, curve_gap, summary, turns
from peers.venv import peer_python, versions
from peers.work import answer_share, even_rows, hf_folder, mixed_rows, write_rows, write_start

from seemant.core.machine import cores, hardware, load_average
from seemant.train.memory.limit import limit_of

WARMUP = 2
OURS, OUR_PYTHON = "ours.py", Path(sys.executable)
BF16_UNITS = {"avx512_bf16", "amx_bf16"}
# Each trainer makes its products in its own order; bfloat16 rounds each of them.
GAP_BARS = {"float32": 1e-3, "bfloat16": 3e-2}
PACK = 512
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "trl": ("peer_trl.py", {"checkpointing": True}),
    "trl-no-ckpt": ("peer_trl.py", {"checkpointing": False}),
    "trl-packed": ("peer_trl.py", {"checkpointing": False, "pack": PACK}),
    "hf": ("peer_hf.py", {}),
    "hf-kept": ("peer_hf.py", {"head": "kept"}),
}
TRL = ("trl", "trl-no-ckpt")
# part: model, rows, dtype, peers, bars by peer ("trl": the better of its two settings)
PARTS: dict[str, dict[str, Any]] = {
    "gemma-50-float32": {"share": 0.5, "bars": {"trl": 2.0, "hf": 1.5}},
    "gemma-25-float32": {"share": 0.25, "bars": {"trl": 2.0, "hf": 1.8}},
    "gemma-50-bfloat16": {"share": 0.5, "bars": {"trl": 2.5, "hf": 1.7}},
    "gemma-25-bfloat16": {"share": 0.25, "bars": {"trl": 2.5, "hf": 2.0}},
    "gemma-mixed-float32": {"bars": {"trl": 2.0}},
    "gemma-mixed-bfloat16": {"bars": {"trl": 2.0}, "full": True},
    "smol-mixed-float32": {"bars": {"trl": 1.3, "hf": 1.3}},
    "smol-mixed-bfloat16": {"bars": {"trl": 1.3, "hf": 1.3}, "full": True},
    "smol-50-float32": {"share": 0.5, "bars": {}, "full": True},
    "limit-float32": {"share": 0.5, "bars": {}},
    "limit-bfloat16": {"share": 0.5, "bars": {}},
}
LANGUAGES = {"gemma": ("hi", "en"), "smol": ("en",), "limit": ("hi", "en")}  # what each carries
MODELS = {"gemma": "gemma-3-270m", "smol": "smollm2-135m-instruct", "limit": "gemma-3-270m"}


def main() -> int:
    """Run the parts, print a table a part, end with one line of JSON; 0 when the bars hold."""
    args = arguments()
    print(machine())
    print(f"peers: {versions()}; {args.threads} threads each; load average {load_average():.2f}")
    rows: list[dict[str, Any]] = []
    has_bf16 = bool(BF16_UNITS & set(hardware()["flags"]))
    for part, settings in PARTS.items():
        if part not in args.only and (args.only or (settings.get("full") and not args.full)):
            continue
        if part.endswith("bfloat16") and not has_bf16:
            print(f"{part}: skipped, this CPU has no bf16 units")
            continue
        asked = {"steps": args.steps, "threads": args.threads}
        make = partial(measure, part, settings, args)
        found = finished("train_speed", part, asked, make, keep=args.full)
        rows += found
        for row in found:
            print(json.dumps(row), flush=True)
    judged = [row for row in rows if row["bar"] is not None]
    worst = min(judged, key=lambda row: row["score"], default=None)
    holds = bool(judged) and all(row["holds"] for row in judged)
    say_claim(
        name="train_speed",
        value=worst["value"] if worst else 0.0,
        bar=worst["bar"] if worst else 0.0,
        holds=holds,
        n=args.steps,
        peer=worst["peer"] if worst else None,
        ratio=worst["value"] if worst and worst["what"] == "speed" else None,
        rows=rows,
    )
    return 0 if holds else 1


def measure(
    part: str, settings: Mapping[str, Any], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the rows of one part: speeds and the gap of the curves, or the limited run."""
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as folder:
        return measure_in(Path(folder), part, settings, args)


def measure_in(
    folder: Path, part: str, settings: Mapping[str, Any], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Return the rows of one part; what its trainers read is written to `folder`."""
    model, kind, dtype = part.split("-")[0], part.split("-")[-2], part.split("-")[-1]
    base = hf_folder(MODELS[model])
    n = WARMUP + args.steps
    if kind == "mixed":
        work = mixed_rows(base, longest=128, n=4 * n, languages=LANGUAGES[model])
    else:
        languages = LANGUAGES[model]
        work = even_rows(base, length=256, share=settings["share"], n=n, languages=languages)
    spec = {
        "model": str(base),
        "tokenizer": str(base),
        "gguf": MODELS[model],
        "dtype": dtype,
        "rows": str(write_rows(folder / "rows.json", work, batch=4 if kind == "mixed" else 1,
                               accumulation=1)),
        "start": str(write_start(folder / "start.safetensors", base / "config.json", rank=8,
                                 seed=0)),
        "rank": 8,
        "alpha": 16,
        "lr": 5e-4,
        "clip": 1.0,
        "threads": args.threads,
        "max_length": 256,
        "checkpointing": False,
    }  # fmt: skip
    share = answer_share(work)
    longest = max(len(ids) for ids in work["ids"])
    real = sum(len(ids) for ids in work["ids"])
    print(
        f"\n{part}: {MODELS[model]}, {dtype}, answers {share:.0%} of {real} tokens, rows of up to "
        f"{longest}, load average {load_average():.2f}"
    )
    if model == "limit":
        return limited(part, spec, args, share)
    names = ["trl", "trl-no-ckpt", "hf"] + (["trl-packed"] if kind == "mixed" else ["hf-kept"])
    found = race(names, spec, args)
    return judge(part, found, settings["bars"], GAP_BARS[dtype], share)


def race(
    names: Sequence[str], spec: Mapping[str, Any], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Let ours and the peers take turns; return figures and curves by trainer."""
    workers = [Worker("ours", OUR_PYTHON, OURS, spec)]
    workers += [Worker(k, peer_python(), PEERS[k][0], {**spec, **PEERS[k][1]}) for k in names]
    try:
        ready = {worker.name: worker.ready() for worker in workers}
        # A packed set has fewer steps than rows: it ends early, so it comes after the others.
        level = [worker for worker in workers if worker.name != "trl-packed"]
        taken = turns(level, args.steps, WARMUP)
        for worker in workers:
            if worker not in level:
                n = min(args.steps, ready[worker.name]["n_steps"] - WARMUP)
                taken |= turns([worker], n, WARMUP)
        found: dict[str, dict[str, Any]] = {}
        for worker in workers:
            steps = taken[worker.name]
            found[worker.name] = summary(steps) | {
                "curve": [*taken[f"{worker.name} (warm-up)"], *steps],
                "peak_mb": worker.peak / 1e6,
                "load_peak_mb": ready[worker.name]["load_peak"] / 1e6,
            }
            shown = {k: round(v, 3) for k, v in found[worker.name].items() if k != "curve"}
            print(f"  {worker.name}: {shown}, last loss {steps[-1]['loss']:.4f}", flush=True)
        return found
    finally:
        for worker in workers:
            worker.close()


def judge(
    part: str,
    found: Mapping[str, Mapping[str, Any]],
    bars: Mapping[str, float],
    gap_bar: float,
    share: float,
) -> list[dict[str, Any]]:
    """Return a row for every peer, and one for the gap between our losses and plain HF's."""
    ours = found["ours"]
    better = min((name for name in TRL if name in found), key=lambda k: found[k]["step_s"])
    rows = []
    for name, peer in found.items():
        if name == "ours":
            continue
        bar = bars.get("trl") if name == better else bars.get(name) if name not in TRL else None
        # Bins hold other rows than steps do: tokens a second are what can be compared.
        packed = name == "trl-packed"
        ratio = (
            ours["tokens_per_s"] / peer["tokens_per_s"]
            if packed
            else peer["step_s"] / ours["step_s"]
        )
        rows.append(
            line(part, "speed", ratio, bar, peer=name, share=share)
            | {
                "ours_s": ours["step_s"],
                "ours_s_range": [ours["step_s_min"], ours["step_s_max"]],
                "peer_s": peer["step_s"],
                "peer_s_range": [peer["step_s_min"], peer["step_s_max"]],
                "ours_tokens_per_s": ours["tokens_per_s"],
                "peer_tokens_per_s": peer["tokens_per_s"],
                "ours_peak_mb": ours["peak_mb"],
                "peer_peak_mb": peer["peak_mb"],
                "n": ours["n"],
            }
        )
    gap = curve_gap(ours["curve"], found["hf"]["curve"])
    rows.append(line(part, "loss curve", gap, gap_bar, peer="hf", share=share, at_most=True))
    return rows


def limited(
    part: str, spec: Mapping[str, Any], args: argparse.Namespace, share: float
) -> list[dict[str, Any]]:
    """Return the row of a run held to half of TRL's own peak, and its speed beside TRL's."""
    script, settings = PEERS["trl"]
    with Worker("trl", peer_python(), script, {**spec, **settings}) as trl:
        trl.ready()
        for _ in range(WARMUP):
            trl.ask("step")
        limit = trl.peak // 2
        with (
            limit_of(limit) as held,
            Worker("ours", OUR_PYTHON, OURS, {**spec, "limit": limit}, limit=held) as ours,
        ):
            ready = ours.ready()
            for _ in range(WARMUP):
                ours.ask("step")
            taken = turns([ours, trl], args.steps - WARMUP, 0)
            peak = max(ours.peak, ready["load_peak"])
    mine, theirs = summary(taken["ours"]), summary(taken["trl"])
    row = line(part, "peak RSS", peak / trl.peak, 0.5, peer="trl", share=share, at_most=True)
    return [
        row
        | {
            "limit_mb": limit / 1e6,
            "held_by": held.how,
            "ours_peak_mb": peak / 1e6,
            "peer_peak_mb": trl.peak / 1e6,
            "plan": ready["plan"],
            "ours_s": mine["step_s"],
            "peer_s": theirs["step_s"],
            "speed": theirs["step_s"] / mine["step_s"],
            "n": mine["n"],
        }
    ]


def line(
    part: str,
    what: str,
    value: float,
    bar: float | None,
    *,
    peer: str,
    share: float,
    at_most: bool = False,
) -> dict[str, Any]:
    """Return one row; `score` is how well it does against its bar, 1 just holds it."""
    holds = bar is None or (value <= bar if at_most else value >= bar)
    score = None
    if bar is not None:
        score = bar / max(value, 1e-12) if at_most else value / bar
    return {
        "part": part,
        "what": what,
        "peer": peer,
        "value": value,
        "bar": bar,
        "holds": holds,
        "score": score,
        "answer_share": share,
    }


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="measured steps a trainer")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--full", action="store_true", help="more parts, 15 steps each")
    parser.add_argument("--only", nargs="+", default=[], choices=list(PARTS))
    args = parser.parse_args()
    if args.full:
        args.steps = max(args.steps, 15)
    return args


if __name__ == "__main__":
    sys.exit(main())
