"""What is lost first as bits fall: facts that tuning taught, the base's own facts, or conduct.

Probes of one student at several bit-widths are read by what the untuned base knew of each:

    taught    the base chose wrongly, the tuned model rightly (facts)
    own       both chose rightly (facts)
    conduct   identity, format and language: how it answers; the tuned model chose rightly

"Chose" is by PMI over the answers. What the tuned model does not have it cannot lose, so every kind
is selected by the tuned model's choice, and all fall back alike towards the mean. A kind keeps

    kept = sum of the variant's PMI margins / sum of the tuned model's, same probes

How kinds compare, plainly and at equal margins, is in `lost_first_differences`. Clusters are
families; one draw of families serves all kinds and points.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seemant.core.records import Lang, Record
from seemant.core.seeds import rng
from seemant.probe.score import Score
from seemant.stats.bootstrap import draws, ratio
from seemant.stats.clusters import cluster_sums, proportion

Kind = Literal["taught", "own", "conduct"]
KINDS: tuple[Kind, ...] = ("taught", "own", "conduct")
CONDUCT = frozenset({"identity", "format", "language"})
DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Point:
    """A variant's probe: its bits a weight, and its scores by probe."""

    subject: str
    bits: float
    scores: Mapping[str, Score]


class Kept(Record):
    """What one kind kept at one point. margin: mean PMI margin, nats/byte. chosen: share that the
    variant still chooses rightly. lang None: all languages.
    """

    kind: Kind
    lang: Lang | None
    subject: str
    bits: float
    kept: float
    kept_low: float | None
    kept_high: float | None
    margin: float
    tuned_margin: float
    chosen: float
    chosen_low: float | None
    chosen_high: float | None
    method: str
    n: int
    n_families: int


def kind_of(base: Score, tuned: Score, taught: frozenset[str] = frozenset()) -> Kind | None:
    """Return a probe's kind; None where the tuned model does not have it.

    taught: families that the tuning data held, where they are known; all others are then "own".
    """
    if tuned.pmi_margin is None or tuned.pmi_margin <= 0 or tuned.choice is not True:
        return None
    if tuned.category in CONDUCT:
        return "conduct"
    if taught:
        return "taught" if tuned.family in taught else "own"
    if base.choice is None:
        return None
    return "own" if base.choice else "taught"


def kinds_of(
    base: Mapping[str, Score], tuned: Mapping[str, Score], taught: frozenset[str] = frozenset()
) -> dict[str, Kind]:
    """Return the kind of every probe that both have and that the tuned model can lose."""
    found = {
        probe: kind_of(base[probe], score, taught)
        for probe, score in tuned.items()
        if probe in base
    }
    return {probe: kind for probe, kind in found.items() if kind is not None}


def kept_table(
    kinds: Mapping[str, Kind], tuned: Mapping[str, Score], points: Sequence[Point], seed: int
) -> list[Kept]:
    """Return what every kind kept at every point, all languages together and each by itself."""
    languages = list(dict.fromkeys(tuned[probe].lang for probe in kinds))
    groups: list[Lang | None] = [None, *(languages if len(languages) > 1 else [])]
    found = []
    for point, kind, lang in itertools.product(_by_bits(points), KINDS, groups):
        probes = [
            p
            for p, own in kinds.items()
            if own == kind
            and (lang is None or tuned[p].lang == lang)
            and p in point.scores
            and point.scores[p].pmi_margin is not None
        ]
        if probes:
            found.append(_kept(kind, lang, point, probes, tuned, seed))
    return found


def _kept(
    kind: Kind,
    lang: Lang | None,
    point: Point,
    probes: Sequence[str],
    tuned: Mapping[str, Score],
    seed: int,
) -> Kept:
    families = [tuned[p].family for p in probes]
    over = cluster_sums([margin(point.scores[p]) for p in probes], families)
    under = cluster_sums([margin(tuned[p]) for p in probes], families)
    drawn = draws(len(over), rng(seed, "kept", kind, lang or "all"), DRAWS)
    kept = ratio(over, under, drawn, n=len(probes))
    chosen = proportion([float(bool(point.scores[p].choice)) for p in probes], families)
    return Kept(
        kind=kind,
        lang=lang,
        subject=point.subject,
        bits=point.bits,
        kept=kept.value,
        kept_low=kept.low,
        kept_high=kept.high,
        margin=float(over.sum() / len(probes)),
        tuned_margin=float(under.sum() / len(probes)),
        chosen=chosen.value,
        chosen_low=chosen.low,
        chosen_high=chosen.high,
        method=kept.method,
        n=kept.n,
        n_families=kept.n_clusters,
    )


def _by_bits(points: Sequence[Point]) -> Iterator[Point]:
    return iter(sorted(points, key=lambda point: (-point.bits, point.subject)))


def scored(point: Point, probe: str) -> bool:
    """Return whether a point has a PMI margin of a probe."""
    return probe in point.scores and point.scores[probe].pmi_margin is not None


def margin(score: Score) -> float:
    """Return a scored probe's PMI margin, nats/byte."""
    assert score.pmi_margin is not None
    return score.pmi_margin
