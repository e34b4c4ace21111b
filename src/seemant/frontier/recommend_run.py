"""The stage `recommend`: for each device, the pick and its evidence, or why nothing fits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.jsonl import read_json, write_json
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage
from seemant.frontier.floors import Request
from seemant.frontier.recommend_config import RecommendConfig

if TYPE_CHECKING:
    from seemant.bench.devices import Device
    from seemant.frontier.pick import Answer


def run(config: RecommendConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with `recommendation.json`; return the size of each pick.

    Raises:
        BadConfig: an unknown device.
    """
    from seemant.bench.devices import device_named
    from seemant.frontier.pick import answer

    folder = inputs["frontier"].path
    rows = read_json(folder / "frontier.json")["candidates"]
    margins = read_json(folder / "margins.json")
    requests, sizes = [], []
    for name in config.devices:
        device = device_named(name)
        request = _request(config, device)
        found = answer(rows, margins, request, resamples=config.resamples, seed=config.seed)
        requests.append(_entry(found, device, config.nodes))
        if found.pick:
            conditions: dict[str, str | int | float | bool | None] = {"recommended_for": name}
            size = found.pick["file_bytes"]
            subject = found.pick["subject"]
            sizes.append(exact(subject, "file_bytes", size, "bytes", conditions=conditions))
    write_json(out / "recommendation.json", {"requests": requests})
    return sizes


def _request(config: RecommendConfig, device: "Device") -> Request:
    return Request(
        device=device.name,
        languages=config.lang,
        min_quality=config.min_quality,
        max_memory_bytes=_smaller(config.max_memory, device.usable_memory_bytes),
        max_latency_ms=config.max_latency,
        max_file_bytes=_smaller(config.max_file, device.max_file_bytes),
        latency_known=device.is_this_machine,
    )


def _smaller(a: float | None, b: float | None) -> float | None:
    given = [value for value in (a, b) if value is not None]
    return min(given, default=None)


def _entry(found: "Answer", device: "Device", nodes: str | None) -> dict[str, Any]:
    from seemant.frontier.evidence import evidence, serve_command

    request = found.request
    shown = found.pick or found.least_bad
    floors = asdict(request)
    for key in ("device", "languages", "latency_known"):
        del floors[key]
    runner = least = None
    if found.runner_up:
        runner = {"subject": found.runner_up["subject"], "lost_because": found.lost_because}
    if found.least_bad:
        failed = [asdict(miss) for miss in found.least_bad_misses]
        least = {"subject": found.least_bad["subject"], "misses": failed}
    return {
        "device": device.name,
        "device_title": device.title,
        "languages": list(request.languages),
        "floors": floors,
        "verdict": "fit" if found.pick else "unfit",
        "pick": found.pick["subject"] if found.pick else None,
        "why": found.why,
        "n_fit": found.n_fit,
        "runner_up": runner,
        "missed_floor": found.missed_floor,
        "least_bad": least,
        "notes": _notes(found, device),
        "evidence": evidence(shown, request.languages) if shown else [],
        "serve_command": serve_command(shown, nodes) if shown else None,
    }


def _notes(found: "Answer", device: "Device") -> list[str]:
    shown = found.pick or found.least_bad
    notes = list(shown["warnings"]) if found.pick and shown else []
    if not device.is_this_machine:
        notes.append("latency not measured on this device")
        notes.append("peak memory was measured on this machine, with its libraries")
    return notes


STAGE = Stage(
    name="recommend",
    version=3,
    config=RecommendConfig,
    run=run,
    roles={"frontier": "frontier"},
    hardware_bound=True,  # it reads this machine's memory
    data=("bench/devices.toml",),
)
