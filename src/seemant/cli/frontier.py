"""`seemant frontier` and `seemant recommend`: what to take, from what was measured."""

import json as jsonlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from seemant.cli.artefacts import artefacts_in, gather
from seemant.cli.options import DEFAULT, Options, RunOptions, run_with_inputs
from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.stage import Input, execute, file_input
from seemant.frontier.config import FrontierConfig
from seemant.frontier.recommend_config import RecommendConfig
from seemant.frontier.verdict import tallies, told
from seemant.study.folder import STATE_NAME
from seemant.study.stages import stage_named

Flat = Parameter(name="*")


def frontier(
    *runs: Path,
    config: Annotated[FrontierConfig, Flat] = FrontierConfig(),
    run: Options = DEFAULT,
) -> None:
    """Show which models no other one beats in quality a language, latency, memory and size.

    Example: seemant frontier runs/quick

    Example: seemant frontier tour

    Parameters
    ----------
    runs
        A study's folder, a folder that holds artefacts, or artefacts' folders themselves.
    """
    done = run_with_inputs(stage_named("frontier"), config, gather(runs), run)
    if done is not None and not run.json:
        for line in standing(read_json(done.path / "frontier.json")):
            print(line)


def standing(found: dict[str, Any]) -> Iterator[str]:
    """Yield who is on the frontier and who is beaten by whom, or why one cannot be deployed."""
    axes = ", ".join(
        _AXES.get(axis, axis.replace("quality:", "quality in ")) for axis in found["axes"]
    )
    yield f"compared by {axes}"
    rows = sorted(found["candidates"], key=lambda row: not row["on_frontier"])
    for row in rows:
        size = f"{row['file_bytes'] / 1e6:.0f} MB" if row["file_bytes"] else "size unknown"
        if row["on_frontier"]:
            word = "on the frontier"
        elif row.get("dominated_by"):
            word = f"beaten by {', '.join(row['dominated_by'])}"
        else:
            word = "not comparable: " + "; ".join(row.get("warnings") or ["not measured"])
        yield f"  {row['subject']} ({size}): {word}"


_AXES = {"latency_ms": "latency", "peak_rss_bytes": "memory", "file_bytes": "size of the file"}


def recommend(
    *runs: Path,
    device: Annotated[list[str] | None, Parameter(negative="")] = None,
    config: Annotated[RecommendConfig, Flat] = RecommendConfig(),
    run: Options = DEFAULT,
) -> None:
    """Recommend the smallest model for a device, or say which floor nothing reaches.

    Example: seemant recommend runs/quick --device board-4gb --lang hi --min-quality 0.02

    Parameters
    ----------
    runs
        A study's folder, a frontier artefact's, or folders of artefacts.
    device
        A device or a budget; may be given several times.
    """
    if device:
        config = config.model_copy(update={"devices": tuple(device)})
    if not runs:
        raise BadFile("no folder is named", fix="seemant recommend runs/quick")
    if config.nodes is None and (runs[0] / STATE_NAME).is_file():
        config = config.model_copy(update={"nodes": f"runs/{runs[0].resolve().name}/nodes"})
    quiet = type(run)(out=run.out, store=run.store, force=run.force, dry_run=run.dry_run)
    inputs = {"frontier": _frontier_of(runs, run)}
    if "lang" not in config.model_fields_set:
        probed = read_json(inputs["frontier"].path / "frontier.json")["languages"]
        asked = [lang for lang in config.lang if lang in probed] or probed
        config = config.model_copy(update={"lang": tuple(asked)})
    done = run_with_inputs(stage_named("recommend"), config, inputs, quiet, show=False)
    if done is None:
        return
    found = read_json(done.path / "recommendation.json")
    store = _store_of(runs[0])
    for request in found["requests"]:
        request["serve_command"] = _from_here(request["serve_command"], store)
    if run.json:
        print(jsonlib.dumps(found, indent=2, ensure_ascii=False))
        return
    for request in found["requests"]:
        _print_request(request)


def _frontier_of(runs: Sequence[Path], run: RunOptions) -> Input:
    """Return the frontier that the folders hold; of plain artefacts it is made here."""
    if len(runs) == 1:
        for name, stage, path in artefacts_in(runs[0]):
            if stage == "frontier":
                return file_input(path, name)
    done = execute(stage_named("frontier"), FrontierConfig(), gather(runs), store=run.store)
    return done.as_input("frontier")


def _store_of(runs: Path) -> Path:
    """Return the store that holds a study's folder, or a frontier's artefact."""
    place = runs.resolve()
    if not (place / STATE_NAME).is_file():
        place = place.parent
        if place.name != "frontier":  # made with --out: nothing says where the store is
            return Path("runs")
    return Path(os.path.relpath(place.parent))


def _from_here(command: list[str] | None, store: Path) -> list[str] | None:
    """Name artefacts, which are recorded as below `runs/`, where they lie seen from here."""
    if command is None:
        return None
    return [
        str(store / word.removeprefix("runs/")) if word.startswith("runs/") else word
        for word in command
    ]


def _floor_value(request: dict[str, Any]) -> str:
    """Return the floor that bound, as it was set."""
    floors, name = request["floors"], request["missed_floor"]
    value = floors.get(name, floors.get(f"{name}_bytes", floors.get(f"{name}_ms")))
    return "no setting" if value is None else f"{value:g}"


def _print_request(request: dict[str, Any]) -> None:
    languages = ", ".join(request["languages"])
    print(f"{request['device_title']} ({languages}): {request['verdict']}, {request['word']}")
    if request["pick"]:
        print(f"  take     {request['pick']}")
    else:
        least = request["least_bad"]
        print(f"  least bad {least['subject'] if least else 'none'}")
    known = tallies(request)
    for lang in request["languages"]:
        print(f"  answers  {told(known.get(lang), lang)}: {request['words'][lang]}")
    print(f"  because  {request['why']}")
    if request["least_bad"]:
        print(f"  floor    {request['missed_floor']} ({_floor_value(request)})")
    if request["runner_up"]:
        runner = request["runner_up"]
        print(f"  before   {runner['subject']}: {runner['lost_because']}")
    for note in request["notes"]:
        print(f"  note     {note}")
    for step in request["next"] if not request["pick"] else []:
        print(f"  next     {step['what']}:")
        for command in step["commands"]:
            print(f"             {shlex.join(command)}")
    if request["serve_command"]:
        print(f"  serve    {shlex.join(request['serve_command'])}")
