"""Claim 5: the alarm rings on news, stays silent on clean pairs, and costs little.

    python benchmarks/behaviour_alarm.py [--full] [--seeds 20] [--pilots 0] [--jobs 1] [--keep]

On the real SmolLM2-135M-Instruct, one thread a process, one process at a time:

1. Three runs of the stage `train` itself: Hindi and English pairs that are half news, clean English
   pairs with replay, and (reported, not held) clean Hindi and English pairs with English replay.
   The transcripts before and after are printed and written.
2. 20 short clean runs: how many ring. Their paired differences, recorded family by family, are
   replayed 200 times each as traces in which nothing happens: with the families' signs flipped, and
   with centred families drawn with replacement, which keeps their leaning.
3. 20 news runs, each going on from a clean run after five looks: rings within 10 % of the steps.
4. What a check costs beside a run of indic-v1's length, from throughput measured in 1.

Short runs are English alone, 100 steps, 10 looks; `--full` makes them Hindi and English, 120 steps,
20 looks. Results lie in `benchmarks/.work/behaviour/` and are not made twice (`--keep` leaves them;
a run that was broken off goes on). `--pilots N` makes N clean runs of other seeds alone and
prints the falls that the tolerance is set from. The last line is one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from behaviour_data import clean_pairs, news_pairs, replay_pairs
from claim import machine, say_claim

WORK = Path(__file__).parent / ".work" / "behaviour"
MODEL = "embedded:smollm2-135m-instruct"
FLIPS = 200  # replayed traces of each recorded clean run
STEPS_OF_INDIC, BATCH_OF_INDIC, CHECKS = 750, 16, 20  # its reported times imply 750 steps
PILOT_SEED = 1000
ASKED = (
    ("en", "What is the capital of Spain?"),
    ("en", "How many wheels does a bicycle have?"),
    ("en", "Why do people sleep at night?"),
    ("hi", "गाय क्या खाती है?"),
    ("hi", "पानी क्यों ज़रूरी है?"),
)


def main() -> int:
    """Run the benchmark; returns 0 when every bar holds."""
    arguments = parse()
    if arguments.one:
        return one(arguments)
    print(machine())
    work = WORK / ("full" if arguments.full else "short")
    work.mkdir(parents=True, exist_ok=True)
    seeds = range(arguments.seeds)
    pilots = [f"clean-{PILOT_SEED + n}" for n in range(arguments.pilots)]
    # News runs need the snapshots of the clean ones.
    waves = [pilots]
    if not arguments.pilots:
        waves += [["demo-noisy", "demo-clean", "demo-hindi"], [f"clean-{s}" for s in seeds]]
        waves.append([f"news-{s}" for s in seeds])
    for wave in waves:
        with ThreadPoolExecutor(arguments.jobs) as pool:
            failed = [name for name, code in pool.map(lambda n: spawn(n, arguments), wave) if code]
        if failed:
            print(f"failed: {', '.join(failed)}; call again to go on", file=sys.stderr)
            return 1
    found = {name: result(work, name) for wave in waves for name in wave}
    if pilots:
        tell_pilots([found[name] for name in pilots])
        return 0
    clean = [found[f"clean-{s}"] for s in seeds]
    news = [found[f"news-{s}"] for s in seeds]
    rows = [
        *demo_rows(found["demo-noisy"], found["demo-clean"], found["demo-hindi"]),
        *replay_rows(clean),
        clean_row(clean),
        news_row(news, arguments.full),
        *cost_rows(found["demo-hindi"]),
    ]
    report(rows)
    held = all(row["holds"] for row in rows)
    if held and not arguments.keep:  # what failed is to be looked at
        shutil.rmtree(WORK, ignore_errors=True)
    return 0 if held else 1


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer runs in two languages")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--pilots", type=int, default=0, help="only clean runs for the tolerance")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time, a thread each")
    parser.add_argument("--keep", action="store_true", help="leave the results")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- one run, in a process of its own -----------------------------------------------------


def spawn(name: str, arguments: argparse.Namespace) -> tuple[str, int]:
    """Make a run unless it is there; return its name and exit status."""
    work = WORK / ("full" if arguments.full else "short")
    if (work / f"{name}.json").is_file():
        return name, 0
    command = [sys.executable, __file__, "--one", name, *(["--full"] if arguments.full else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (work / f"{name}.log").open("w") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log)
    print(f"{name}: {'done' if not done.returncode else 'FAILED, see ' + log.name}", flush=True)
    return name, done.returncode


def one(arguments: argparse.Namespace) -> int:
    """Make the run of `--one` and write its result."""
    from behaviour_runs import Shape, clean_run, news_run

    from seemant.core.jsonl import write_json
    from seemant.models.resolve import resolve

    work = WORK / ("full" if arguments.full else "short")
    model, (kind, _, seed) = resolve(MODEL).path, arguments.one.partition("-")
    shape = Shape(langs=("hi", "en"), steps=120, checks=20, onset=60) if arguments.full else Shape()
    if kind == "demo":
        found = demo(seed, work, 200 if arguments.full else 80)
    else:
        make = clean_run if kind == "clean" else news_run
        found = make(shape, int(seed), work, model)
    write_json(work / f"{arguments.one}.json", found)
    return 0


def result(work: Path, name: str) -> dict[str, Any]:
    """Return the result of a run."""
    found: dict[str, Any] = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
    return found


def demo(kind: str, work: Path, steps: int) -> dict[str, Any]:
    """Tune by the stage itself, on half news or on clean pairs with replay; ask it questions."""
    from seemant.core.jsonl import write_records
    from seemant.core.runlog import read_events
    from seemant.core.stage import Input, execute, file_input
    from seemant.models.resolve import resolve
    from seemant.train.alarm.ring import Look
    from seemant.train.config import TrainConfig
    from seemant.train.run import STAGE

    folder = work / f"demo-{kind}"
    folder.mkdir(exist_ok=True)
    pairs = clean_pairs(("en",)) if kind == "clean" else clean_pairs()
    if kind == "noisy":
        pairs = [
            news if n % 2 else pair
            for n, (pair, news) in enumerate(zip(pairs, news_pairs(pairs), strict=True))
        ]
    write_records(folder / "pairs.jsonl", pairs)
    write_records(folder / "replay.jsonl", replay_pairs())
    model = resolve(MODEL)
    inputs = {
        "model": Input(model.path, MODEL, "smollm2"),
        "pairs": file_input(folder / "pairs.jsonl"),
    }
    if kind != "noisy":
        inputs["replay"] = file_input(folder / "replay.jsonl")
    config = TrainConfig(
        steps=steps,
        batch=2,
        accumulation=1,
        compute="bfloat16",
        schedule="constant",
        max_length=512,
        alarm="log",
        checks=CHECKS,
        replay=0.0 if kind == "noisy" else 0.25,
        eval_every=steps,
        save_every=steps,
        threads=1,
    )
    done = execute(STAGE, config, inputs, store=folder / "store")
    lines = (done.path / "alarm.jsonl").read_text(encoding="utf-8").splitlines()
    looks = [Look.model_validate_json(line) for line in lines]
    steps_made = read_events(done.path, "step")
    checks = read_events(done.path, "check")
    return {
        "looks": [
            {
                "step": look.step,
                "verdict": look.verdict,
                "loss": look.heldout_loss,
                "why": look.why,
                "retention": look.retention,
            }
            for look in looks
        ],
        "figure": str(done.path / "behaviour.svg"),
        "transcripts": transcripts(model.path, done.path),
        "tokens_per_s": sum(e["tokens"] for e in steps_made)
        / sum(e["seconds"] for e in steps_made),
        "tokens_a_pair": sum(e["tokens"] for e in steps_made) / (2 * len(steps_made)),
        "check_s": [e["seconds"] for e in checks],
        "check_tokens": checks[0]["tokens"],
        "planned_share": checks[0]["planned_share"],
    }


def transcripts(model: Path, tuned: Path) -> list[dict[str, str]]:
    """Return what the model says before and after, greedily, by the backend that serves it."""
    from seemant.models.backends.open import open_backend
    from seemant.models.backends.protocol import Sampling
    from seemant.models.prompts import template_of

    template, said = template_of(model), {}
    for when, adapter in (("before", None), ("after", tuned)):
        with open_backend(model, adapter=adapter) as backend:
            said[when] = [
                backend.generate(
                    template.render(question, lang),  # type: ignore[arg-type]
                    Sampling(max_new_tokens=40),
                    template.stops(lang),  # type: ignore[arg-type]
                ).text.strip()
                for lang, question in ASKED
            ]
    return [
        {"question": question, "before": before, "after": after}
        for (_, question), before, after in zip(ASKED, said["before"], said["after"], strict=True)
    ]


# ---- what the runs show -------------------------------------------------------------------


def demo_rows(
    noisy: dict[str, Any], clean: dict[str, Any], hindi: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return whether noise rang, its loss fell, and clean pairs were silent; print transcripts."""
    shown = (("half news", noisy), ("clean English with replay", clean), ("clean Hindi", hindi))
    for name, run in shown:
        print(f"\n{name}: " + "; ".join(_told(look) for look in run["looks"]))
        for each in run["transcripts"]:
            print(
                f"  {each['question']}\n    before: {each['before']}\n    after:  {each['after']}"
            )
    (WORK.parent / "behaviour-transcripts.json").write_text(
        json.dumps(
            {name: run["transcripts"] for name, run in shown},
            indent=1,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )
    rang = [sum(look["verdict"] == "ring" for look in run["looks"]) for _, run in shown]
    fell = noisy["looks"][-1]["loss"] - noisy["looks"][0]["loss"]
    return [
        bar_row("looks that ring on half news", rang[0], 1, len(noisy["looks"]) - 1, least=True),
        bar_row("change of the loss on half news, nats/token", fell, 0, len(noisy["looks"])),
        bar_row("looks that ring on clean English pairs", rang[1], 0, len(clean["looks"]) - 1),
        bar_row("looks that ring on clean Hindi pairs", rang[2], None, len(hindi["looks"]) - 1),
    ]


def _told(look: dict[str, Any]) -> str:
    return f"step {look['step']} loss {look['loss']:.3f} {look['verdict']} {look['why']}".strip()


def replay_rows(clean: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the share of silent traces that ring and its upper 95 % end, for two kinds of trace.

    A trace is a recorded run whose differences are centred at each look, within languages, and then
    either have their families' signs flipped at random, or are drawn with replacement within their
    language: the same signs or families at all looks and signals, so that what these have in common
    stays, and nothing happens. It is tested without tolerance, at the edge of the hypothesis, and
    as if the loss had always fallen. Traces of one run are alike, so the end is that of Student's t
    over the runs' rates.
    """
    from scipy.stats import t

    found = []
    for kind in ("flipped", "drawn"):
        rates = [rate_of(run, kind) for run in clean]
        n, mean = len(rates), float(np.mean(rates))
        half = float(t.ppf(0.95, n - 1)) * float(np.std(rates, ddof=1)) / n**0.5 if n > 1 else 1.0
        found += [
            bar_row(f"false alarms over replayed traces, families {kind}", mean, 0.05, n * FLIPS)
            | {"rates": rates},
            bar_row("their upper 95 % end, by run", mean + half, 0.06, n),
        ]
    return found


def rate_of(run: dict[str, Any], kind: str) -> float:
    """Return the share of a run's traces that ring."""
    from seemant.stats.sequential import Bounds

    falls = np.array(list(run["falls"].values()))  # (signals, looks, families)
    languages = np.array(run["languages"])
    parts = [np.flatnonzero(languages == lang) for lang in dict.fromkeys(run["languages"])]
    for part in parts:
        falls[:, :, part] -= falls[:, :, part].mean(2, keepdims=True)
    bounds = Bounds(checks=falls.shape[1], signals=len(falls))
    generator = np.random.default_rng([run["seed"], kind == "drawn"])
    rang = 0
    for _ in range(FLIPS):
        if kind == "flipped":
            trace = falls * generator.choice((-1.0, 1.0), falls.shape[2])
        else:
            places = np.arange(falls.shape[2])
            for part in parts:
                places[part] = generator.choice(part, len(part))
            trace = falls[:, :, places]
        rang += rings(trace, bounds, run["languages"], generator)
    return rang / FLIPS


def rings(
    falls: Any, bounds: Any, languages: Sequence[str], generator: np.random.Generator
) -> bool:
    """Return whether a trace (signals, looks, families) rings, as the product tests it."""
    from seemant.train.alarm.paired import fall

    if len(set(languages)) == 1:  # most looks are nowhere near, and one division says so
        t = falls.mean(2) / (falls.std(2, ddof=1) / np.sqrt(falls.shape[2]))
        suspects = np.argwhere(t <= bounds.t(falls.shape[2]))
    else:
        suspects = np.argwhere(np.ones(falls.shape[:2], dtype=bool))
    return any(
        fall(falls[s, k], 0.0, bounds.level, generator, languages).p <= bounds.level
        for s, k in suspects
    )


def clean_row(clean: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many live clean runs rang; it is told, the replayed traces decide."""
    rang = [run["seed"] for run in clean if run["ring"] is not None]
    row = bar_row("live clean runs that ring", len(rang), None, len(clean))
    return row | {"seeds": rang, "worst": [run["worst"] for run in clean]}


def news_row(news: Sequence[dict[str, Any]], full: bool) -> dict[str, Any]:
    """Return the share of news runs that rang within a tenth of the steps after the onset."""
    onset, steps = (60, 120) if full else (50, 100)
    delays = [None if run["ring"] is None else run["ring"] - onset for run in news]
    early = sum(d is not None and d <= 0 for d in delays)
    in_time = sum(d is not None and 0 < d <= steps // 10 for d in delays)
    print(f"\nsteps from onset to ring, of {steps}: {delays}; before the onset: {early}")
    row = bar_row(
        "news runs that ring within 10 % of the steps",
        in_time / len(news),
        0.9,
        len(news),
        least=True,
    )
    return row | {"delays": delays, "steps": steps, "why": news[0]["why"]}


def cost_rows(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check's share of a run of indic-v1's length, and that of all its checks."""
    from seemant.train.alarm.schedule import schedule

    check = median(run["check_s"])
    tokens = STEPS_OF_INDIC * BATCH_OF_INDIC * run["tokens_a_pair"]
    whole = tokens / run["tokens_per_s"]
    print(
        f"\na check: {check:.1f} s (n {len(run['check_s'])}, "
        f"{min(run['check_s']):.1f}-{max(run['check_s']):.1f}, {run['check_tokens']} tokens); "
        f"training {run['tokens_per_s']:.0f} tokens/s; {STEPS_OF_INDIC} steps of {BATCH_OF_INDIC} "
        f"pairs, {run['tokens_a_pair']:.0f} tokens each: {whole / 60:.0f} min"
    )
    # A check's seconds and tokens hold the pass over its held-out rows.
    step_tokens = BATCH_OF_INDIC * run["tokens_a_pair"]
    plan = schedule(
        STEPS_OF_INDIC, CHECKS, check_tokens=run["check_tokens"], step_tokens=step_tokens
    )
    made = len(plan.steps)
    n = len(run["check_s"])
    return [
        bar_row("one check / a run of indic-v1's length", check / whole, 0.03, n)
        | {"check_s": run["check_s"]},
        bar_row(
            "all checks that the schedule makes and look 0 / that run",
            (made + 1) * check / whole,
            0.03,
            n,
        )
        | {"checks_asked": CHECKS, "checks_made": made, "predicted": plan.share},
    ]


def tell_pilots(pilots: Sequence[dict[str, Any]]) -> None:
    """Print how far signals fell in clean pilot runs: what the tolerance is set from."""
    if not pilots:
        return
    for signal in pilots[0]["falls"]:
        means = [np.mean(look) for run in pilots for look in run["falls"][signal]]
        at = np.percentile(np.abs(means), 95)
        print(f"pilots: {signal}: lowest {min(means):+.3f}, 95 % of |d| below {at:.3f}")


# ---- the report ---------------------------------------------------------------------------


def bar_row(
    name: str, value: float, bar: float | None, n: int, *, least: bool = False
) -> dict[str, Any]:
    """Return a row that holds when the value is at least (or at most) its bar."""
    holds = bar is None or (value >= bar if least else value <= bar)
    return {"row": name, "value": value, "bar": bar, "holds": bool(holds), "n": n, "least": least}


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows, then the JSON object; the detection rate is its value."""
    print()
    for row in rows:
        mark = "  " if row["bar"] is None else ("ok" if row["holds"] else "NO")
        print(f"{mark} {row['row']}: {row['value']:.4g} (bar {row['bar']}, n {row['n']})")
    failed = [row for row in rows if not row["holds"]]
    shown = failed[0] if failed else next(row for row in rows if "drawn" in row["row"])
    say_claim(
        name="behaviour_alarm",
        value=shown["value"],
        bar=shown["bar"],
        holds=not failed,
        n=shown["n"],
        rows=list(rows),
    )


if __name__ == "__main__":
    raise SystemExit(main())
