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

import numpy as np

from seemant.compress.attribution.statistics import Floats
from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.core.records import Lang, Record
from seemant.core.seeds import rng
from seemant.probe.chunk_sums import METHOD, draws, expanded_tail
from seemant.probe.intervals import proportion
from seemant.probe.score import Score

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
    names = list(dict.fromkeys(families))
    over = by_family(probes, {p: margin(point.scores[p]) for p in probes}, tuned, names)
    under = by_family(probes, {p: margin(tuned[p]) for p in probes}, tuned, names)
    low = high = None
    g = len(names)
    if g >= MIN_CLUSTERS:
        drawn = draws(g, rng(seed, "kept", kind, lang or "all"), DRAWS)
        low, high = ends((drawn @ over) / (drawn @ under), g)
    chosen = proportion([float(bool(point.scores[p].choice)) for p in probes], families)
    return Kept(
        kind=kind,
        lang=lang,
        subject=point.subject,
        bits=point.bits,
        kept=float(over.sum() / under.sum()),
        kept_low=low,
        kept_high=high,
        margin=float(over.sum() / len(probes)),
        tuned_margin=float(under.sum() / len(probes)),
        chosen=chosen.value,
        chosen_low=chosen.low,
        chosen_high=chosen.high,
        method=METHOD if low is not None else TOO_FEW,
        n=len(probes),
        n_families=g,
    )


def by_family(
    probes: Sequence[str],
    values: Mapping[str, float],
    tuned: Mapping[str, Score],
    families: Sequence[str],
) -> Floats:
    """Return sums of values over each family's probes, in the order of `families`."""
    place = {family: index for index, family in enumerate(families)}
    sums = np.zeros(len(families))
    np.add.at(sums, [place[tuned[p].family] for p in probes], [values[p] for p in probes])
    return sums


def ends(resampled: Floats, n_clusters: int) -> tuple[float, float]:
    """Return the ends of a 95 % interval, its tails widened for few clusters."""
    tail = expanded_tail(n_clusters)
    low, high = (float(each) for each in np.quantile(resampled, [tail, 1 - tail]))
    return low, high


def _by_bits(points: Sequence[Point]) -> Iterator[Point]:
    return iter(sorted(points, key=lambda point: (-point.bits, point.subject)))


def scored(point: Point, probe: str) -> bool:
    """Return whether a point has a PMI margin of a probe."""
    return probe in point.scores and point.scores[probe].pmi_margin is not None


def margin(score: Score) -> float:
    """Return a scored probe's PMI margin, nats/byte."""
    assert score.pmi_margin is not None
    return score.pmi_margin
