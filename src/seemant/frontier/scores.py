"""The scores of a probe artefact as the frontier needs them: one mean margin a family."""

from collections import defaultdict
from pathlib import Path

from seemant.core.jsonl import read_records
from seemant.probe.score import Score

Margins = dict[str, dict[str, float]]
"""Language -> family -> mean PMI margin of its probes, nats a byte."""


def read_margins(artefact: Path) -> Margins:
    """Return the margins of a probe artefact; probes that are never scored have none.

    The PMI margin is the only score that compares models with different vocabularies: it is in
    nats a byte of answer, and it takes each answer's own likelihood without the question out.
    """
    file = artefact / "scores.jsonl"
    if file.is_file() and not file.stat().st_size:  # a probe of the study's queries alone
        return {}
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in read_records(file, Score):
        if line.pmi_margin is not None:
            values[line.lang][line.family].append(line.pmi_margin)
    return {
        lang: {family: sum(v) / len(v) for family, v in sorted(families.items())}
        for lang, families in sorted(values.items())
    }
