"""How the kinds of `lost_first` differ in what they keep, plainly and at equal tuned margins.

Facts just learned have small margins, and small margins flip first; so kinds are also compared at
equal margins: probes of the other kind are weighted until they fill the three thirds of the tuned
margins in the same shares (post-stratification); a third that one of the two kinds lacks is left
out of both.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from seemant.compress.attribution.lost_first import (
    DRAWS,
    KINDS,
    Kind,
    Point,
    margin,
    scored,
)
from seemant.core.measurement import MIN_CLUSTERS
from seemant.core.records import Record
from seemant.core.seeds import rng
from seemant.probe.score import Score
from seemant.stats.bootstrap import Floats, draws, expanded_ends
from seemant.stats.clusters import cluster_sums

_STRATA = 3


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


def differences(
    kinds: Mapping[str, Kind], tuned: Mapping[str, Score], points: Sequence[Point], seed: int
) -> list[Difference]:
    """Return how kinds differ in what they keep, over the probes that all points scored."""
    probes = [p for p in kinds if all(scored(point, p) for point in points)]
    families = list(dict.fromkeys(tuned[p].family for p in probes))
    if not points or len(families) < 2:
        return []
    drawn = draws(len(families), rng(seed, "lost first"), DRAWS)
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
        own = [tuned[p].family for p in probes]
        under = cluster_sums([weights[p] * margin(tuned[p]) for p in probes], own, families)
        for point in points:
            margins = [weights[p] * margin(point.scores[p]) for p in probes]
            over = cluster_sums(margins, own, families)
            value += sign * float(over.sum() / under.sum()) / len(points)
            with np.errstate(invalid="ignore", divide="ignore"):  # a draw without this kind
                resampled += sign * (drawn @ over) / (drawn @ under) / len(points)
    least = min(len({tuned[p].family for p in probes}) for probes in groups)
    if least < MIN_CLUSTERS:
        return value, None, None
    return value, *expanded_ends(value, resampled[np.isfinite(resampled)], least)


def _matching(
    first: Sequence[str], second: Sequence[str], tuned: Mapping[str, Score]
) -> tuple[dict[str, float], float]:
    """Return weights that give `second` first's shares of the thirds of tuned margins.

    Those of `first` are 1, and 0 in a third where `second` has no probe.
    """
    margins = np.array([margin(tuned[p]) for p in (*first, *second)])
    edges = np.quantile(margins, np.arange(1, _STRATA) / _STRATA)
    places = np.searchsorted(edges, margins)
    ours, theirs = places[: len(first)], places[len(first) :]
    shares = [(float((ours == s).mean()), float((theirs == s).mean())) for s in range(_STRATA)]
    ratios = [a / b if b else 0.0 for a, b in shares]
    weights = {p: float(shares[place][1] > 0) for p, place in zip(first, ours, strict=True)}
    weights |= {p: ratios[place] for p, place in zip(second, theirs, strict=True)}
    common = any(a and b for a, b in shares)
    return weights, sum(a for a, b in shares if not b) if common else 1.0
