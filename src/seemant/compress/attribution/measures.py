"""From a damage map to measurements."""

from collections.abc import Sequence

from seemant.compress.attribution.cells import Damage
from seemant.compress.attribution.summary import Ratio, Summary
from seemant.core.interval import Interval
from seemant.core.measurement import TOO_FEW, Measurement, of_interval
from seemant.stats.bootstrap import METHOD


def measure(rows: Sequence[Damage], summary: Summary, subject: str) -> list[Measurement]:
    """Return "damage" (nats a byte) of every cell, interaction and structure by language.

    conditions: layer, site, how; the whole table in nats a token too is `damage.jsonl`.
    """
    made = [
        Measurement(
            subject=subject,
            metric="damage",
            lang=row.lang,
            value=row.per_byte,
            unit="nats/byte",
            ci_low=row.per_byte_low,
            ci_high=row.per_byte_high,
            ci_method=row.method,
            n=row.n_bytes,
            n_clusters=row.n_chunks,
            conditions={"layer": row.layer, "site": row.site, "how": row.how},
        )
        for row in rows
    ]
    chunks = {row.lang: row.n_chunks for row in rows}
    made += [_ratio(subject, "damage_interaction", r, chunks[r.lang]) for r in summary.interaction]
    for how, ratios in summary.structure.items():
        made += [_ratio(subject, f"damage_over_{how}", r, chunks[r.lang]) for r in ratios]
    return made


def _ratio(subject: str, metric: str, given: Ratio, n_chunks: int) -> Measurement:
    method = TOO_FEW if given.low is None else METHOD
    found = Interval(given.value, given.low, given.high, method, n_chunks, n_chunks)
    return of_interval(subject, metric, given.lang, found, {}, "ratio")
