"""What stands behind a recommendation: its measurements, and the command that serves the pick."""

from typing import Any

from seemant.core.measurement import Measurement, exact
from seemant.frontier.floors import Row
from seemant.frontier.readings import (
    CHOICE_ACCURACY,
    DECODE,
    FILE_BYTES,
    KLD,
    PEAK_RSS,
    TTFT,
    Reading,
)

_FIGURES = ((PEAK_RSS, "bytes"), (DECODE, "tokens/s"), (TTFT, "ms"))
_BY_LANGUAGE = ((CHOICE_ACCURACY, "share"), (KLD, "nats/token"))


def evidence(row: Row, languages: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the measurements of a candidate that its recommendation rests on.

    They come with the intervals and counts that they were measured with. They were made on this
    machine: quality and file size hold anywhere, memory roughly, speed only here.
    """
    found = []
    readings = row.get("readings", {})
    for lang in languages:
        if quality := row["quality"].get(lang):
            found.append(_measured(row, "pmi_margin", "nats/byte", quality, lang))
        for metric, unit in _BY_LANGUAGE:
            if reading := readings.get(metric, {}).get(lang):
                found.append(_measured(row, metric, unit, reading, lang))
    if row["file_bytes"] is not None:
        found.append(exact(row["subject"], FILE_BYTES, row["file_bytes"], "bytes"))
    for metric, unit in _FIGURES:
        if reading := readings.get(metric):
            found.append(_measured(row, metric, unit, reading))
    return [m.model_dump(mode="json", exclude_defaults=True) for m in found]


def serve_command(row: Row, nodes: str | None = None) -> list[str] | None:
    """Return the command that serves a candidate, from the folder that holds `runs/`.

    nodes: the folder in which inputs lie under their names; without it an adapter is named as its
    input was labelled.
    """
    if row["artefact"]:
        return ["seemant", "serve", f"runs/{row['artefact']}"]
    if not row["ref"]:
        return None
    command = ["seemant", "serve", row["ref"]]
    if not row["adapter"]:
        return command
    return [*command, "--adapter", f"{nodes}/{row['adapter']}" if nodes else row["adapter"]]


def _measured(
    row: Row, metric: str, unit: str, reading: Reading, lang: str | None = None
) -> Measurement:
    return Measurement(subject=row["subject"], metric=metric, lang=lang, unit=unit, **reading)
