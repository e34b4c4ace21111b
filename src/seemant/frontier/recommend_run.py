"""The stage `recommend`: for each device, the pick and its evidence, or why nothing fits."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.compress.reference.which import DITHERED
from seemant.core.jsonl import read_json, write_json
from seemant.core.measurement import Measurement, exact
from seemant.core.stage import Inputs, Stage
from seemant.frontier.floors import Request, Row, word_for
from seemant.frontier.recommend_config import RecommendConfig
from seemant.frontier.verdict import tallies, words_of

if TYPE_CHECKING:
    from seemant.bench.devices import Device
    from seemant.frontier.pick import Answer


def run(config: RecommendConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with `recommendation.json`; return the size of each pick.

    Candidates are of one ranking (`rankings`); first of any width, then of each one asked for.

    Raises:
        BadConfig: an unknown device.
    """
    from seemant.bench.devices import device_named
    from seemant.frontier.pick import answer
    from seemant.frontier.rankings import one_ranking

    folder = inputs["frontier"].path
    every = read_json(folder / "frontier.json")["candidates"]
    margins = read_json(folder / "margins.json")
    rows = one_ranking(every)
    requests, sizes = [], []
    for name in config.devices:
        device = device_named(name)
        request = _request(config, device)
        for bits in (None, *config.bits):
            asked = rows if bits is None else [r for r in rows if r["variant"].get("bits") == bits]
            found = answer(asked, margins, request, resamples=config.resamples, seed=config.seed)
            entry = _entry(found, device, config.nodes)
            requests.append(_of_width(entry, bits, len(every) - len(rows)))
            if found.pick:
                sizes.append(_size(found.pick, name, bits))
    write_json(out / "recommendation.json", {"requests": requests})
    return sizes


def _size(pick: Row, device: str, bits: int | None) -> Measurement:
    conditions: dict[str, str | int | float | bool | None] = {"recommended_for": device}
    if bits is not None:
        conditions["bits"] = bits
    return exact(pick["subject"], "file_bytes", pick["file_bytes"], "bytes", conditions=conditions)


def _of_width(entry: dict[str, Any], bits: int | None, left_out: int) -> dict[str, Any]:
    title = entry["device_title"] + (f", {bits} bits" if bits is not None else "")
    notes = list(entry["notes"])
    if left_out:
        notes.append(f"{left_out} candidates of other references were measured, and not considered")
    return {**entry, "device_title": title, "bits": bits, "notes": notes}


def _request(config: RecommendConfig, device: "Device") -> Request:
    return Request(
        device=device.name,
        languages=config.lang,
        min_quality=config.min_quality,
        min_right=config.min_right,
        max_memory_bytes=_smaller(config.max_memory, device.usable_memory_bytes),
        max_latency_ms=config.max_latency,
        max_file_bytes=_smaller(config.max_file, device.max_file_bytes),
        latency_known=device.is_this_machine,
    )


def _smaller(a: float | None, b: float | None) -> float | None:
    given = [value for value in (a, b) if value is not None]
    return min(given, default=None)


def _entry(found: "Answer", device: "Device", nodes: str | None) -> dict[str, Any]:
    from seemant.frontier.advice import next_steps
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
    word = word_for(shown, request) if shown else "not enough evidence"
    steps = next_steps(
        word, shown, request.languages, max_file_bytes=request.max_file_bytes, nodes=nodes
    )
    return {
        "device": device.name,
        "device_title": device.title,
        "languages": list(request.languages),
        "floors": floors,
        "verdict": "fit" if found.pick else "unfit",
        "word": word,
        "words": words_of(shown or {}, request.languages, min_right=request.min_right),
        "answers": _answers(shown, request.languages),
        "next": steps,
        "pick": found.pick["subject"] if found.pick else None,
        "why": found.why,
        "n_fit": found.n_fit,
        "runner_up": runner,
        "missed_floor": found.missed_floor,
        "least_bad": least,
        "notes": _notes(found, device),
        "evidence": evidence(shown, request.languages) if shown else [],
        "serve_command": serve_command(shown, nodes) if shown and _may_be_used(shown) else None,
    }


def _answers(row: Row | None, languages: Sequence[str]) -> dict[str, dict[str, Any]]:
    known = tallies(row) if row else {}
    return {lang: asdict(known[lang]) for lang in languages if lang in known}


def _may_be_used(row: Row) -> bool:
    """Return whether it is no candidate that only ranks methods, even as the least bad."""
    return row.get("ranking") != DITHERED


def _notes(found: "Answer", device: "Device") -> list[str]:
    shown = found.pick or found.least_bad
    notes = list(shown["warnings"]) if found.pick and shown else []
    if not device.is_this_machine:
        notes.append("latency not measured on this device")
        notes.append("peak memory was measured on this machine, with its libraries")
    return notes


STAGE = Stage(
    name="recommend",
    version=5,
    config=RecommendConfig,
    run=run,
    roles={"frontier": "frontier"},
    hardware_bound=True,  # it reads this machine's memory
    data=("bench/devices.toml",),
)
