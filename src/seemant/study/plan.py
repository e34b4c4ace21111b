"""The plan of a study: what would run, what it is expected to cost, before anything runs."""

import math
from dataclasses import dataclass
from pathlib import Path

from seemant.core.errors import SeemantError
from seemant.core.machine import cores
from seemant.core.manifest import load_manifest
from seemant.core.refs import SCHEMES
from seemant.models.carriers import pending_downloads
from seemant.study.graph import needs, order, urgency
from seemant.study.lacks import Lack, lacks
from seemant.study.pace import ENGINE_SHARE, Pace
from seemant.study.resume import finished
from seemant.study.spec import Study


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One node: whether its answer is there, and its cost, expected or as measured here."""

    node: str
    stage: str
    needs: list[str]
    done: bool
    seconds: float
    memory_mb: int
    disk_mb: int
    slots: int
    exclusive: bool
    known: bool
    """Whether anything tells the costs; they are 0 where nothing does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All rows, the expected wall time on this machine's cores, downloads in bytes by model.

    expected_on: the machine that the costs come from. pace: how many times as long torch's work
    and llama.cpp's take here as there, by which seconds are scaled; None where that is not known.
    """

    rows: list[PlanRow]
    wall_s: float
    memory_mb: int
    disk_mb: int
    downloads: dict[str, int]
    expected_on: str
    lacks: list[Lack]
    left_out: dict[str, str]
    pace: dict[str, float] | None


def plan(study: Study, store: Path, pace: Pace | None = None) -> Plan:
    """Return the plan; nodes that are done show what they cost, others what the file expects.

    pace: this machine's, by which expected seconds are scaled where the study says what theirs was.
    """
    known = finished(study, store)
    there = study.expected_pace
    rows = []
    for name in order(study):
        node, artefact = study.nodes[name], known.get(name)
        manifest = load_manifest(artefact) if artefact else None
        expect = node.expect
        seconds = expect.seconds
        if pace and there:
            seconds *= pace.against(there, ENGINE_SHARE.get(node.stage, 0.0))
        rows.append(
            PlanRow(
                node=name,
                stage=node.stage,
                needs=needs(study, name),
                done=manifest is not None,
                seconds=round(manifest.wall_s if manifest else seconds, 1),
                memory_mb=manifest.peak_rss_bytes // 2**20 if manifest else expect.memory_mb,
                disk_mb=(
                    math.ceil(sum(f.bytes for f in manifest.files) / 1e6)
                    if manifest
                    else expect.disk_mb
                ),
                slots=node.slots,
                exclusive=node.exclusive,
                known=manifest is not None or node.costs_known,
            )
        )
    waiting = [row for row in rows if not row.done]
    downloads = _downloads(study)
    return Plan(
        rows=rows,
        wall_s=round(_wall(waiting, urgency(study), cores()), 1),
        memory_mb=sum(sorted((row.memory_mb for row in waiting), reverse=True)[: cores()]),
        disk_mb=sum(row.disk_mb for row in waiting),
        downloads=downloads,
        expected_on=study.expected_on,
        lacks=lacks(study, pending=downloads) if waiting else [],
        left_out=study.left_out,
        pace=pace.ratios(there) if pace and there else None,
    )


def _wall(rows: list[PlanRow], urgent: dict[str, float], slots: int) -> float:
    """Return the wall time of the executor's own rule: of what could start, the most urgent."""
    names = {row.node for row in rows}
    waiting, running = list(rows), list[tuple[float, PlanRow, int]]()
    ended, clock = set[str](), 0.0
    while waiting or running:
        for row in sorted(waiting, key=lambda each: -urgent[each.node]):
            want = slots if row.exclusive else min(row.slots, slots)
            ready = all(need in ended or need not in names for need in row.needs)
            if ready and sum(used for _, _, used in running) + want <= slots:
                running.append((clock + row.seconds, row, want))
                waiting.remove(row)
        clock, row, _ = soonest = min(running, key=lambda each: each[0])
        running.remove(soonest)
        ended.add(row.node)
    return clock


def _downloads(study: Study) -> dict[str, int]:
    references = {text for node in study.nodes.values() for text in node.inputs.values()}
    wanted = {text for text in references if text.partition(":")[0] in SCHEMES}
    found = {}
    for text in sorted(wanted):
        try:
            size = pending_downloads(text)
        except SeemantError:
            continue  # an unknown model is reported when the study is run, with its name
        if size:
            found[text] = size
    return found
