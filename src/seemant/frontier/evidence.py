"""What stands behind a recommendation: its measurements, and the command that serves the pick."""

from typing import Any

from seemant.core.measurement import EXACT, Measurement
from seemant.frontier.floors import Row

_MEDIAN = "none: a median of repeated runs; their spread is in the bench artefact"
_FIGURES = (
    ("file_bytes", "file_bytes", "bytes", EXACT),
    ("peak_rss_bytes", "peak_rss", "bytes", _MEDIAN),
    ("decode_tokens_per_s", "decode", "tokens/s", _MEDIAN),
    ("ttft_ms", "ttft", "ms", _MEDIAN),
)


def evidence(row: Row, languages: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the measurements of a candidate that its recommendation rests on.

    They were made on this machine: quality and file size hold anywhere, memory roughly, speed
    only here.
    """
    found = []
    for lang in languages:
        if quality := row["quality"].get(lang):
            found.append(
                Measurement(
                    subject=row["subject"],
                    metric="pmi_margin",
                    lang=lang,
                    unit="nats/byte",
                    **quality,
                )
            )
        if lang in row["guard"]:
            method = "none: its interval is in the divergence artefact"
            found.append(_one(row, "kld", row["guard"][lang], "nats/token", method, lang))
    for key, metric, unit, method in _FIGURES:
        if row[key] is not None:
            found.append(_one(row, metric, row[key], unit, method))
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


def _one(
    row: Row, metric: str, value: float, unit: str, method: str, lang: str | None = None
) -> Measurement:
    return Measurement(
        subject=row["subject"],
        metric=metric,
        lang=lang,
        value=value,
        unit=unit,
        ci_method=method,
        n=1,
    )
