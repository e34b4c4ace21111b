"""The probes of `tuned_at_four_bits.py`: what each cure's file still knows, on Q4_0.

The project's own questions, asked of every file in llama.cpp and paired with the float32 model of
the same state. Closed questions by likelihood: whether the right answer beats every distractor
(`choice_accuracy`), by how many nats a byte it leads (`pmi_margin`), and whether the verdict is the
one of the float32 model (`same_verdict`): a file that is right as often but elsewhere is another
model. With `--full` the models answer too (`accuracy`, `script_followed`). The tuned float32 model
is paired with the untuned one: what tuning itself did.
"""

import argparse
from pathlib import Path
from typing import Any

from tuned_files import WORK, Model, files, states_of

from seemant.core.interval import Interval
from seemant.core.measurement import Measurement
from seemant.core.records import Lang
from seemant.core.stage import Done, execute, file_input
from seemant.probe.config import ProbeConfig
from seemant.probe.run import STAGE as PROBE
from seemant.probe.score import load_before
from seemant.stats.clusters import proportion

GRID = "q4_0"
METRICS = ("choice_accuracy", "pmi_margin", "accuracy", "script_followed")
Ends = tuple[float, float | None, float | None]


def probe_rows(model: Model, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row a file, language and metric of one model."""
    rows: list[dict[str, Any]] = []
    whole: Done | None = None
    for state in states_of(model, args):
        name = f"{model.name}-{state.name}"
        earlier, whole = whole, _probed(f"{name}-float32", state.whole, whole, model, args)
        rows += _rows(whole, earlier, model, state.name, "float32")
        for cure, path in files(state, GRID, args):
            done = _probed(f"{name}-{GRID}-{cure}", path, whole, model, args)
            rows += _rows(done, whole, model, state.name, cure)
    return rows


def _probed(
    subject: str, path: Path, before: Done | None, model: Model, args: argparse.Namespace
) -> Done:
    config = ProbeConfig(
        languages=model.languages,
        generate=args.full,
        max_new_tokens=24,
        subject=subject,
        threads=args.threads,
    )
    given = {"model": file_input(path, subject)}
    if before is not None:
        given["before"] = before.as_input("float32")
    return execute(PROBE, config, given, store=WORK / "runs")


def _rows(
    done: Done, before: Done | None, model: Model, state: str, cure: str
) -> list[dict[str, Any]]:
    measured = {(m.lang, m.metric): m for m in done.manifest.measurements}
    rows: list[dict[str, Any]] = []
    for lang in model.languages:
        found: dict[str, tuple[Ends, Ends | None, int]] = {}
        for metric in METRICS:
            if (now := measured.get((lang, metric))) is not None:
                change = measured.get((lang, f"{metric}_change"))
                found[metric] = (_ends(now), _ends(change) if change else None, now.n)
        if before is not None:
            same = _same_verdict(done, before, lang)
            found["same_verdict"] = ((same.value, same.low, same.high), None, same.n)
        grid = None if cure == "float32" else GRID
        rows += [
            {"model": model.name, "state": state, "grid": grid, "cure": cure, "lang": lang}
            | {"metric": metric, "value": value, "change": change, "n": n}
            for metric, (value, change, n) in found.items()
        ]
    return rows


def _ends(measured: Measurement) -> Ends:
    return measured.value, measured.ci_low, measured.ci_high


def _same_verdict(done: Done, before: Done, lang: Lang) -> Interval:
    """Return the share of questions that are judged as before: right again, or wrong again."""
    now, then = (load_before(each.path).scores for each in (done, before))
    asked = [score for score in now.values() if score.lang == lang and score.choice is not None]
    same = [float(score.choice == then[score.probe_id].choice) for score in asked]
    return proportion(same, [score.family for score in asked])


def said_probe(row: dict[str, Any]) -> str:
    """Return a row in one line."""
    grid = f" {row['grid']}" if row["grid"] else ""
    line = f"{row['model']} {row['state']}{grid} {row['cure']} {row['lang']}: {row['metric']} "
    line += _interval(row["value"], "")
    if row["change"]:
        of = "float32" if row["grid"] else "untuned"
        line += f"; against {of} {_interval(row['change'], '+')}"
    return f"{line}; n = {row['n']}"


def _interval(values: Ends, sign: str) -> str:
    value, low, high = values
    ends = "" if low is None or high is None else f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f}{ends}"
