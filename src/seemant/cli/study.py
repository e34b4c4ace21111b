"""`seemant study`: plan, run, status, report, compare."""

import dataclasses
import json as jsonlib
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.manifest import load_manifest
from seemant.core.measurement import Measurement
from seemant.study.folder import STATE_NAME
from seemant.study.lacks import refuse
from seemant.study.pace import pace_here
from seemant.study.plan import plan as make_plan
from seemant.study.resume import finished
from seemant.study.run import run_study
from seemant.study.spec import load_study

app = App(name="study", help="A graph of stages from one YAML file: planned, run, resumed.")

Sets = Annotated[list[str] | None, Parameter(name="--set", negative="")]
STORE = Path("runs")


@app.command
def plan(study: str, *, set_: Sets = None, store: Path = STORE, json: bool = False) -> None:
    """Show nodes, expected time, memory, disk and downloads; nothing of the study is run.

    The first time on a machine its pace is measured, for about ten seconds, and kept in the cache.

    Example: seemant study plan quick

    Parameters
    ----------
    study
        A preset's name (quick) or a YAML file.
    set_
        NAME=VALUE for a parameter of the study, NODE.KEY=VALUE for a node's setting.
    store
        The store of results.
    json
        Print JSON.
    """
    loaded = load_study(study, set_ or [])
    pace = pace_here(say=_say) if loaded.expected_pace else None
    planned = make_plan(loaded, store, pace)
    if json:
        print(jsonlib.dumps(dataclasses.asdict(planned), indent=2))
        refuse(planned.lacks)
        return
    print(f"{'node':28} {'stage':11} {'state':7} {'s':>6} {'MB ram':>7} {'MB disk':>8}  needs")
    for row in planned.rows:
        state = "done" if row.done else "to do"
        figures = f"{row.seconds:6.0f} {row.memory_mb:7} {row.disk_mb:8}"
        if not row.known:
            figures = f"{'unknown':>23}"
        shown = ", ".join(row.needs[:3]) + (
            f" and {len(row.needs) - 3} more" * (len(row.needs) > 3)
        )
        print(f"{row.node:28} {row.stage:11} {state:7} {figures}  {shown}")
    for name, why in planned.left_out.items():
        print(f"left out: {name} ({why})")
    for model, size in planned.downloads.items():
        print(f"download: {model} {size / 1e6:.0f} MB (seemant models fetch {model})")
    told = f"predicted from: {planned.expected_on or 'no machine named'}"
    if planned.pace:
        told += "; here torch takes {torch:.2f} and llama.cpp {engine:.2f} times as long".format(
            **planned.pace
        )
    n_unknown = sum(not row.known for row in planned.rows)
    about = f"unknown for {n_unknown} nodes, for the others about" if n_unknown else "about"
    print(
        f"to do: {about} {planned.wall_s / 60:.1f} min, {planned.memory_mb} MB memory, "
        f"{planned.disk_mb} MB disk ({told})"
    )
    refuse(planned.lacks)


@app.command
def run(
    study: str,
    *,
    set_: Sets = None,
    force: Annotated[list[str] | None, Parameter(negative="")] = None,
    store: Path = STORE,
    json: bool = False,
) -> None:
    """Run every node whose answer is not there; killed or interrupted, the same command goes on.

    Example: seemant study run quick --set corpus=my.txt --set steps=40

    Parameters
    ----------
    study
        A preset's name (quick) or a YAML file.
    set_
        NAME=VALUE for a parameter of the study, NODE.KEY=VALUE for a node's setting.
    force
        A node to run anew.
    store
        The store of results.
    json
        Print JSON.
    """
    done = run_study(
        load_study(study, set_ or []),
        store,
        say=_say,
        force=force or [],
    )
    if json:
        nodes = {name: str(path) for name, path in done.artefacts.items()}
        report = str(done.report) if done.report else None
        print(jsonlib.dumps({"ran": done.n_run, "nodes": nodes, "report": report}, indent=2))
        return
    print(f"{len(done.artefacts)} nodes, {done.n_run} run now; results in {done.folder}")
    if done.report:
        print(f"report: {done.report}")


@app.command
def status(study: str, *, set_: Sets = None, store: Path = STORE, json: bool = False) -> None:
    """Show which nodes are done.

    Example: seemant study status quick
    """
    loaded = load_study(study, set_ or [])
    known = finished(loaded, store)
    if json:
        print(jsonlib.dumps({name: str(known.get(name, "")) for name in loaded.nodes}, indent=2))
        return
    for name in loaded.nodes:
        print(f"{name:28} {known.get(name, 'to do')}")
    print(f"{len(known)} of {len(loaded.nodes)} nodes done")


@app.command
def report(study: str, *, store: Path = STORE, json: bool = False) -> None:
    """Print where a finished study's report lies.

    Example: seemant study report quick
    """
    page = store / load_study(study).name / "report.html"
    if not page.is_file():
        raise BadFile("no report yet", where=str(page), fix=f"seemant study run {study}")
    print(jsonlib.dumps({"report": str(page)}) if json else page)


@app.command
def compare(first: Path, second: Path, *, json: bool = False) -> None:
    """Show the measurements in which two study folders differ, times left aside.

    Example: seemant study compare runs/quick other/runs/quick
    """
    ours, theirs = _measurements(first), _measurements(second)
    rows = []
    for key in sorted(set(ours) | set(theirs)):
        a, b = ours.get(key), theirs.get(key)
        if a != b:
            rows.append({"what": " ".join(filter(None, key)), "first": a, "second": b})
    if json:
        print(jsonlib.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['what']}: {row['first']} | {row['second']}")
    print(f"{len(rows)} of {len(set(ours) | set(theirs))} time-free measurements differ")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measurements(folder: Path) -> dict[tuple[str, ...], float]:
    state = read_json(folder / STATE_NAME)
    found = {}
    for name, node in state["nodes"].items():
        for m in load_manifest(folder / node["artefact"]).measurements:
            if not m.timed:
                found[_key(name, m)] = m.value
    return found


def _key(node: str, m: Measurement) -> tuple[str, ...]:
    conditions = " ".join(f"{key}={value}" for key, value in sorted(m.conditions.items()))
    return (node, m.subject, m.metric, m.lang or "", conditions)
