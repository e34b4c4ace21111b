"""What is lost first as bits fall: facts that tuning taught, the base's own facts, or conduct.

Probes of one student at several bit-widths are read by what the untuned base knew of each:

    taught    the base chose wrongly, the tuned model rightly (facts)
    own       both chose rightly (facts)
    conduct   identity, format and language: how it answers; the tuned model chose rightly

"Chose" is by PMI over the answers. What the tuned model does not have it cannot lose, so every kind
is selected by the tuned model's choice, and all fall back alike towards the mean. A kind keeps

    kept = sum of the variant's PMI margins / sum of the tuned model's, same probes

Facts just learned have small margins, and small margins flip first; so kinds are also compared at
equal margins: probes of the other kind are weighted until they fill the three thirds of the tuned
margins in the same shares (post-stratification); a third that one of the two kinds lacks is left
out of both. Clusters are families; one draw of families serves all kinds and points.
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
_STRATA = 3
_DRAWS = 4000


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


class Difference(Record):
    """kept(first) - kept(second), mean over all points, plainly and at equal tuned margins.

    unmatched: share of `first` in thirds where `second` has no probe at all; they are left out of
    `matched`. At 1 nothing is at equal margins: `matched` is the plain value, without ends.
    """

    first: Kind
    second: Kind
    difference: float
    low: float | None
    high: float | None
    matched: float
    matched_low: float | None
    matched_high: float | None
    unmatched: float


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


def differences(
    kinds: Mapping[str, Kind], tuned: Mapping[str, Score], points: Sequence[Point], seed: int
) -> list[Difference]:
    """Return how kinds differ in what they keep, over the probes that all points scored."""
    probes = [p for p in kinds if all(_scored(point, p) for point in points)]
    families = list(dict.fromkeys(tuned[p].family for p in probes))
    if not points or len(families) < 2:
        return []
    drawn = draws(len(families), rng(seed, "lost first"), _DRAWS)
    found = []
    for first, second in itertools.combinations(KINDS, 2):
        groups = [[p for p in probes if kinds[p] == kind] for kind in (first, second)]
        if not all(groups):
            continue
        weights, unmatched = _matching(groups[0], groups[1], tuned)
        ones = dict.fromkeys((*groups[0], *groups[1]), 1.0)
        plain = _difference(groups, ones, tuned, points, families, drawn)
        matched: tuple[float, float | None, float | None] = (plain[0], None, None)
        if unmatched < 1:
            matched = _difference(groups, weights, tuned, points, families, drawn)
        found.append(
            Difference(
                first=first,
                second=second,
                difference=plain[0],
                low=plain[1],
                high=plain[2],
                matched=matched[0],
                matched_low=matched[1],
                matched_high=matched[2],
                unmatched=unmatched,
            )
        )
    return found


def verdict(found: Sequence[Difference]) -> Kind | None:
    """Return the kind that is lost first: keeps less than each other at equal margins; else None.

    Both ends of every interval that speaks of it must say so.
    """
    for kind in KINDS:
        against = [d for d in found if kind in (d.first, d.second)]
        if len(against) == len(KINDS) - 1 and all(_less(d, kind) for d in against):
            return kind
    return None


def _less(found: Difference, kind: Kind) -> bool:
    end = found.matched_high if kind == found.first else found.matched_low
    if end is None:
        return False
    return end < 0 if kind == found.first else end > 0


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
    over = _by_family(probes, {p: _margin(point.scores[p]) for p in probes}, tuned, names)
    under = _by_family(probes, {p: _margin(tuned[p]) for p in probes}, tuned, names)
    low = high = None
    g = len(names)
    if g >= MIN_CLUSTERS:
        drawn = draws(g, rng(seed, "kept", kind, lang or "all"), _DRAWS)
        low, high = _ends((drawn @ over) / (drawn @ under), g)
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


def _difference(
    groups: Sequence[Sequence[str]],
    weights: Mapping[str, float],
    tuned: Mapping[str, Score],
    points: Sequence[Point],
    families: Sequence[str],
    drawn: Floats,
) -> tuple[float, float | None, float | None]:
    """Return the mean difference over points with its ends; weights: of every probe."""
    value, resampled = 0.0, np.zeros(len(drawn))
    groups = [[p for p in probes if weights[p] > 0] for probes in groups]
    for sign, probes in zip((1, -1), groups, strict=True):
        w = {p: weights[p] for p in probes}
        under = _by_family(probes, {p: w[p] * _margin(tuned[p]) for p in probes}, tuned, families)
        for point in points:
            margins = {p: w[p] * _margin(point.scores[p]) for p in probes}
            over = _by_family(probes, margins, tuned, families)
            value += sign * float(over.sum() / under.sum()) / len(points)
            with np.errstate(invalid="ignore", divide="ignore"):  # a draw without this kind
                resampled += sign * (drawn @ over) / (drawn @ under) / len(points)
    least = min(len({tuned[p].family for p in probes}) for probes in groups)
    if least < MIN_CLUSTERS:
        return value, None, None
    return value, *_ends(resampled[np.isfinite(resampled)], least)


def _matching(
    first: Sequence[str], second: Sequence[str], tuned: Mapping[str, Score]
) -> tuple[dict[str, float], float]:
    """Return weights that give `second` first's shares of the thirds of tuned margins.

    Those of `first` are 1, and 0 in a third where `second` has no probe.
    """
    margins = np.array([_margin(tuned[p]) for p in (*first, *second)])
    edges = np.quantile(margins, np.arange(1, _STRATA) / _STRATA)
    places = np.searchsorted(edges, margins)
    ours, theirs = places[: len(first)], places[len(first) :]
    shares = [(float((ours == s).mean()), float((theirs == s).mean())) for s in range(_STRATA)]
    ratios = [a / b if b else 0.0 for a, b in shares]
    weights = {p: float(shares[place][1] > 0) for p, place in zip(first, ours, strict=True)}
    weights |= {p: ratios[place] for p, place in zip(second, theirs, strict=True)}
    common = any(a and b for a, b in shares)
    return weights, sum(a for a, b in shares if not b) if common else 1.0


def _by_family(
    probes: Sequence[str],
    values: Mapping[str, float],
    tuned: Mapping[str, Score],
    families: Sequence[str],
) -> Floats:
    place = {family: index for index, family in enumerate(families)}
    sums = np.zeros(len(families))
    np.add.at(sums, [place[tuned[p].family] for p in probes], [values[p] for p in probes])
    return sums


def _ends(resampled: Floats, n_clusters: int) -> tuple[float, float]:
    tail = expanded_tail(n_clusters)
    low, high = (float(each) for each in np.quantile(resampled, [tail, 1 - tail]))
    return low, high


def _by_bits(points: Sequence[Point]) -> Iterator[Point]:
    return iter(sorted(points, key=lambda point: (-point.bits, point.subject)))


def _scored(point: Point, probe: str) -> bool:
    return probe in point.scores and point.scores[probe].pmi_margin is not None


def _margin(score: Score) -> float:
    assert score.pmi_margin is not None
    return score.pmi_margin
