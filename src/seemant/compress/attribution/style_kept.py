"""How much of what tuning did to the style of replies is left at fewer bits.

    kept = sum of (variant - base) / sum of (tuned - base), same probes

for each trait that tuning moved (its paired interval does not hold 0). 1: as tuned; 0: as before
tuning; above 1 or below 0: beyond either.
"""

from collections.abc import Callable, Mapping, Sequence

from seemant.compress.attribution.lost_first import Point
from seemant.core.records import Record
from seemant.core.seeds import rng
from seemant.probe.score import Score
from seemant.stats.bootstrap import draws, ratio
from seemant.stats.clusters import cluster_sums, paired_difference

TRAITS: dict[str, Callable[[Score], float | None]] = {
    "news_score": lambda score: score.news_score,
    "script_share": lambda score: score.script_share,
    "repetition": lambda score: score.repetition,
    "n_aksharas": lambda score: None if score.n_aksharas is None else float(score.n_aksharas),
}


class StyleKept(Record):
    """One trait at one point. shift: tuned - base, mean, in the trait's own unit."""

    trait: str
    subject: str
    bits: float
    shift: float
    kept: float
    low: float | None
    high: float | None
    n: int
    n_families: int


def style_table(
    base: Mapping[str, Score], tuned: Mapping[str, Score], points: Sequence[Point], seed: int
) -> list[StyleKept]:
    """Return what is left of every trait that tuning moved, at every point."""
    found = []
    for trait, value in TRAITS.items():
        for point in sorted(points, key=lambda each: -each.bits):
            rows = [
                (score.family, after - before, now - before)
                for probe, score in tuned.items()
                if probe in base
                and probe in point.scores
                and (before := value(base[probe])) is not None
                and (after := value(score)) is not None
                and (now := value(point.scores[probe])) is not None
            ]
            if len(rows) < 2:
                continue
            families, shifts, left = zip(*rows, strict=True)
            moved = paired_difference(shifts, [0.0] * len(shifts), families)
            if moved.low is None or moved.high is None or moved.low <= 0 <= moved.high:
                continue
            over, under = cluster_sums(left, families), cluster_sums(shifts, families)
            drawn = draws(len(over), rng(seed, "style", trait), 4000)
            each = ratio(over, under, drawn, n=len(rows))
            found.append(
                StyleKept(
                    trait=trait,
                    subject=point.subject,
                    bits=point.bits,
                    shift=moved.value,
                    kept=each.value,
                    low=each.low,
                    high=each.high,
                    n=each.n,
                    n_families=each.n_clusters,
                )
            )
    return found
