"""`seemant frontier` and `seemant recommend`: what to take, from what was measured."""

import json as jsonlib
import os
import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from seemant.cli.options import DEFAULT, Options, run_with_inputs
from seemant.core.errors import BadFile, InputError
from seemant.core.jsonl import read_json
from seemant.core.manifest import MANIFEST_NAME, load_manifest
from seemant.core.stage import Input, file_input
from seemant.frontier.config import FrontierConfig
from seemant.frontier.recommend_config import RecommendConfig
from seemant.study.folder import STATE_NAME
from seemant.study.stages import stage_named

Flat = Parameter(name="*")
ROLES = {
    "probe": "probe/",
    "divergence": "divergence/",
    "compress": "variant/",
    "qat": "variant/",
    "bench": "bench",
}


def frontier(
    runs: Path,
    *,
    config: Annotated[FrontierConfig, Flat] = FrontierConfig(),
    run: Options = DEFAULT,
) -> None:
    """Show which models no other one beats in quality a language, latency, memory and size.

    Example: seemant frontier runs/quick

    Parameters
    ----------
    runs
        A study's folder.
    """
    run_with_inputs(stage_named("frontier"), config, gather(runs), run)


def recommend(
    runs: Path,
    *,
    device: Annotated[list[str] | None, Parameter(negative="")] = None,
    config: Annotated[RecommendConfig, Flat] = RecommendConfig(),
    run: Options = DEFAULT,
) -> None:
    """Recommend the smallest model for a device, or say which floor nothing reaches.

    Example: seemant recommend runs/quick --device board-4gb --lang hi --min-quality 0.02

    Parameters
    ----------
    runs
        A study's folder, or a frontier artefact's.
    device
        A device or a budget; may be given several times.
    """
    if device:
        config = config.model_copy(update={"devices": tuple(device)})
    if config.nodes is None and (runs / STATE_NAME).is_file():
        config = config.model_copy(update={"nodes": f"runs/{runs.resolve().name}/nodes"})
    quiet = type(run)(out=run.out, store=run.store, force=run.force, dry_run=run.dry_run)
    inputs = {"frontier": _frontier_of(runs)}
    done = run_with_inputs(stage_named("recommend"), config, inputs, quiet, show=False)
    if done is None:
        return
    found = read_json(done.path / "recommendation.json")
    store = _store_of(runs)
    for request in found["requests"]:
        request["serve_command"] = _from_here(request["serve_command"], store)
    if run.json:
        print(jsonlib.dumps(found, indent=2, ensure_ascii=False))
        return
    for request in found["requests"]:
        _print_request(request)


def gather(runs: Path) -> dict[str, Input]:
    """Return the inputs of a frontier from the nodes of a study's folder.

    Raises:
        BadFile: there is no finished study.
    """
    state_path = runs / STATE_NAME
    if not state_path.is_file():
        raise BadFile(
            "no finished study here",
            where=str(runs),
            fix="seemant study run quick, then runs/quick",
        )
    inputs: dict[str, Input] = {}
    for name, node in read_json(state_path)["nodes"].items():
        role = ROLES.get(node["stage"])
        if role is None:
            continue
        key = f"{role}{name}" if role.endswith("/") else role
        inputs[key] = file_input(runs / node["artefact"], name)
    if not inputs:
        raise InputError("the study has no probe, variant or bench node", where=str(runs))
    return inputs


def _frontier_of(runs: Path) -> Input:
    if (runs / MANIFEST_NAME).is_file() and load_manifest(runs).stage == "frontier":
        return file_input(runs, str(runs))
    state = read_json(runs / STATE_NAME) if (runs / STATE_NAME).is_file() else {"nodes": {}}
    for name, node in state["nodes"].items():
        if node["stage"] == "frontier":
            return file_input(runs / node["artefact"], name)
    raise BadFile(
        "neither a study's folder with a frontier nor a frontier artefact",
        where=str(runs),
        fix="seemant study run quick, then name runs/quick",
    )


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


def _print_request(request: dict[str, Any]) -> None:
    languages = ", ".join(request["languages"])
    print(f"{request['device_title']} ({languages}): {request['verdict']}")
    if request["pick"]:
        print(f"  take     {request['pick']}")
    else:
        least = request["least_bad"]
        print(f"  least bad {least['subject'] if least else 'none'}")
    print(f"  because  {request['why']}")
    if request["runner_up"]:
        runner = request["runner_up"]
        print(f"  before   {runner['subject']}: {runner['lost_because']}")
    for note in request["notes"]:
        print(f"  note     {note}")
    if request["serve_command"]:
        print(f"  serve    {shlex.join(request['serve_command'])}")
