"""The stage "lost_first": probes of one student at several bit-widths, read by kind.

A probe is matched to its variant by content, as in `frontier`; bits are those of the whole file.
"""

from pathlib import Path
from typing import Any

from seemant.compress.attribution.lost_first_config import LostFirstConfig
from seemant.core.interval import Interval
from seemant.core.measurement import Measurement, of_interval
from seemant.core.stage import Inputs, Stage

KEPT, STYLE, VERDICT = "kept.jsonl", "style.jsonl", "lost_first.json"


def run(config: LostFirstConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with kept.jsonl, style.jsonl and lost_first.json; return the measurements.

    Raises:
        BadConfig: no probe belongs to any of the variants.
        BadFile, BadRecord: an input is damaged.
    """
    from seemant.compress.attribution.lost_first import kept_table, kinds_of
    from seemant.compress.attribution.lost_first_differences import differences, verdict
    from seemant.compress.attribution.style_kept import style_table
    from seemant.core.jsonl import write_json, write_records

    base, tuned = (_scores(inputs[role].path) for role in ("base", "tuned"))
    points = _points(inputs)
    kinds = kinds_of(base, tuned, frozenset(config.taught))
    kept = kept_table(kinds, tuned, points, config.seed)
    style = style_table(base, tuned, points, config.seed)
    found = differences(kinds, tuned, points, config.seed)
    write_records(out / KEPT, kept)
    write_records(out / STYLE, style)
    told: dict[str, Any] = {
        "lost_first": verdict(found),
        "differences": [each.model_dump() for each in found],
    }
    write_json(out / VERDICT, told)
    return [
        of_interval(
            row.subject,
            f"kept_{row.kind}",
            row.lang,
            Interval(row.kept, row.kept_low, row.kept_high, row.method, row.n, row.n_families),
            {"bits_per_weight": row.bits, "student": config.subject},
            "share",
        )
        for row in kept
    ]


def _points(inputs: Inputs) -> list[Any]:
    from seemant.compress.attribution.lost_first import Point
    from seemant.core.errors import BadConfig
    from seemant.core.manifest import load_manifest
    from seemant.probe.subject import variant_facts

    variants = {
        i.sha256: variant_facts(i.path) for r, i in inputs.items() if r.startswith("variant/")
    }
    points = []
    for role, given in inputs.items():
        if role.startswith("probe/"):
            model = load_manifest(given.path).inputs.get("model")
            facts = variants.get(model.sha256) if model else None
            if facts is not None:
                bits = float(str(facts.get("bits_per_weight_file", facts.get("bits", 0))))
                name = str(facts.get("subject") or given.label)
                points.append(Point(name, bits, _scores(given.path)))
    if not points:
        raise BadConfig(
            "no probe was made of any of these variants",
            fix="probe the variant's folder (seemant probe runs/compress/Q4), not a model.gguf "
            "inside, and name both: seemant lost-first BASE TUNED runs/compress/Q4 runs/probe/Q4",
        )
    return points


def _scores(artefact: Path) -> dict[str, Any]:
    from seemant.core.jsonl import read_records
    from seemant.probe.score import Score

    return {score.probe_id: score for score in read_records(artefact / "scores.jsonl", Score)}


STAGE = Stage(
    name="lost_first",
    version=2,
    config=LostFirstConfig,
    run=run,
    roles={"base": "probe", "tuned": "probe", "probe/*": "probe", "variant/*": "variant"},
)
