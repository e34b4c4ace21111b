"""The stage `frontier`: from what was measured to the candidates that nothing beats."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.core.jsonl import write_json
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage
from seemant.frontier.candidates import Candidate, benches, gather
from seemant.frontier.config import FrontierConfig
from seemant.frontier.readings import CHOICE_ACCURACY, KLD, WEIGHTS


def run(config: FrontierConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with `frontier.json` and `margins.json`; return the qualities.

    Who dominates whom rests on measured times, so it is in the file and not among the
    measurements: those are the same in every run of one seed.
    """
    from seemant.frontier.answers import answers
    from seemant.frontier.quality import as_row, quality
    from seemant.frontier.standing import standings

    candidates = gather(inputs)
    if not any(candidate.margins for candidate in candidates):
        raise BadFile("no probe has a scored answer", fix="give the frontier probe artefacts")
    languages = [g for g in config.languages if any(g in c.margins for c in candidates)]
    qualities = {
        c.subject: {g: quality(c.subject, g, c.margins[g]) for g in languages if c.margins.get(g)}
        for c in candidates
    }
    timed = bool(benches(inputs))
    stands = standings(candidates, languages, config, timed=timed)
    costs = ["latency_ms", "peak_rss_bytes"] if timed else []
    rows: list[dict[str, Any]] = []
    for c in candidates:
        shown = {g: as_row(m) for g, m in qualities[c.subject].items()}
        row: dict[str, Any] = {"subject": c.subject, "quality": shown}
        told = {lang: asdict(tally) for lang, tally in answers(c, candidates).items()}
        rows.append(row | {"answers": told} | _facts(c) | stands[c.subject])
    write_json(
        out / "frontier.json",
        {
            "axes": [*(f"quality:{g}" for g in languages), *costs, "file_bytes"],
            "languages": languages,
            "rankings": list(dict.fromkeys(row["ranking"] for row in rows)),
            "quality_metric": "pmi_margin",
            "quality_unit": "nats/byte",
            "resamples": config.resamples,
            "candidates": rows,
        },
    )
    write_json(out / "margins.json", {c.subject: c.margins for c in candidates})
    return [m for by_language in qualities.values() for m in by_language.values()]


def _facts(c: Candidate) -> dict[str, Any]:
    return {
        "decode_tokens_per_s": c.decode_tokens_per_s,
        "ttft_ms": c.ttft_ms,
        "peak_rss_bytes": c.peak_rss_bytes,
        "file_bytes": c.file_bytes,
        "simulated": c.simulated,
        "guard": c.klds,
        "readings": {
            **c.figures,
            KLD: c.kld,
            f"{KLD}_{WEIGHTS}": c.kld_weights,
            CHOICE_ACCURACY: c.choice,
        },
        "artefact": c.artefact,
        "ref": c.ref,
        "adapter": c.adapter,
        "variant": c.variant,
    }


STAGE = Stage(
    name="frontier",
    version=5,
    config=FrontierConfig,
    run=run,
    roles={
        "probe/*": "probe",
        "divergence/*": "divergence",
        "variant/*": "variant",
        "bench": "bench?",
        "bench/*": "bench",
    },
)
