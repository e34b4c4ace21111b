"""95 % intervals that know that questions about one fact are not independent.

The unit is the cluster: a probe family, or a paragraph. Nothing here counts single items, and
fewer than 8 clusters give a number without an interval.

Cluster t (Miller, arXiv 2411.00640, equation 4, with clusters as draws from a super-population):

    x = (1/n) sum_i x_i      SE^2 = G/(G-1) * (1/n^2) sum_c ( sum_{i in c} (x_i - x) )^2
    x +- t(0.975, G-1) SE

G/(G-1) is the correction for few clusters. The evaluation notes (section 2) hold the simulation
that chose this over the naive, the cluster-z and the percentile-bootstrap interval. A ratio of two
sums has the same error, with S_c - R N_c for what a cluster is off by (`cluster_ratio`).
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.core.interval import Interval
from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.stats.student_t import LEVEL, t_bound

Floats = NDArray[np.float64]
ALL_ALIKE = "none: all clusters alike"  # no spread was seen, which is not: there is none
WALD_RANGE = (0.15, 0.85)  # outside, a symmetric interval covers too little (notes, section 2)
EXACT_CLUSTERS = 13  # up to 2^13 sign flips are enumerated, beyond they are drawn
_DRAWS = 10_000
_ROUNDING = 1e-12  # of the largest value: an error below is what rounding leaves of zero


def cluster_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """Return the mean with its cluster t interval. values, clusters: (n,), n >= 1.

    Where all clusters agree exactly the standard error is 0: no interval, rather than one of no
    width that would claim certainty.
    """
    x = np.asarray(values, dtype=np.float64)
    mean, error, n_clusters = _mean_and_error(x, clusters)
    if n_clusters < MIN_CLUSTERS:
        return Interval(mean, None, None, TOO_FEW, len(x), n_clusters)
    if error <= _ROUNDING * float(np.abs(x).max()):
        return Interval(mean, None, None, ALL_ALIKE, len(x), n_clusters)
    half = t_bound(LEVEL, n_clusters - 1) * error
    return Interval(mean, mean - half, mean + half, "cluster t, 95 %", len(x), n_clusters)


def proportion(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """Return a share of ones with its interval, within [0, 1]. values are 0 or 1.

    Between .15 and .85 the cluster t interval; outside, Wilson's with the effective sample size
    n_eff = n / DEFF (`wilson`). A share of 0 or 1 has Wilson's too; another share that is the same
    in all clusters has none.
    """
    given = cluster_mean(values, clusters)
    if given.method == TOO_FEW or (given.method == ALL_ALIKE and 0 < given.value < 1):
        return given
    if given.low is None or given.high is None:
        return wilson(values, clusters)
    if WALD_RANGE[0] <= given.value <= WALD_RANGE[1]:
        low, high = max(0.0, given.low), min(1.0, given.high)
        return Interval(given.value, low, high, given.method, given.n, given.n_clusters)
    return wilson(values, clusters)


def wilson(values: Sequence[float], clusters: Sequence[Hashable]) -> Interval:
    """Return a share with Wilson's interval at n_eff = n / DEFF, DEFF = SE_cluster^2 / SE_iid^2.

        (p + t^2/2n +- t sqrt(p(1-p)/n + t^2/4n^2)) / (1 + t^2/n)       with n = n_eff

    t has G - 1 degrees of freedom. DEFF is at least 1, and for a share of 0 or 1, where it cannot
    be estimated, n_eff = G: as if a family's items were one.
    """
    x = np.asarray(values, dtype=np.float64)
    p, error, n_clusters = _mean_and_error(x, clusters)
    n = len(x)
    if n_clusters < MIN_CLUSTERS:
        return Interval(p, None, None, TOO_FEW, n, n_clusters)
    iid = p * (1 - p) / n
    n_eff = min(float(n), n * iid / error**2) if iid > 0 and error > 0 else float(n_clusters)
    t = t_bound(LEVEL, n_clusters - 1)
    centre = p + t * t / (2 * n_eff)
    half = t * math.sqrt(p * (1 - p) / n_eff + t * t / (4 * n_eff * n_eff))
    scale = 1 + t * t / n_eff
    # Rounding may leave 1e-17 outside [0, 1], or the share itself outside at 0 and 1.
    low, high = max(0.0, min(p, (centre - half) / scale)), min(1.0, max(p, (centre + half) / scale))
    return Interval(p, low, high, "Wilson with cluster n_eff, 95 %", n, n_clusters)


def paired_difference(
    after: Sequence[float], before: Sequence[float], clusters: Sequence[Hashable]
) -> Interval:
    """Return the mean of after - before, item by item, with its cluster t interval."""
    return cluster_mean(np.subtract(after, before).tolist(), clusters)


def cluster_ratio(
    sums: Floats, sizes: Floats, *, n: int, over: str, tail: float = LEVEL
) -> Interval:
    """Return R = sum(S_c) / sum(N_c) over clusters (G,) with its t interval; n: observations.

        R +- t(G-1) SE      SE^2 = G/(G-1) * sum_c (S_c - R N_c)^2 / (sum_c N_c)^2

    the linearised variance of a ratio (Cochran, Sampling Techniques, 3rd ed., section 6.3).
    over: what a cluster is called. tail: what lies beyond each end.
    """
    total = float(sizes.sum())
    value, g = float(sums.sum()) / total, len(sums)
    if g < MIN_CLUSTERS:
        return Interval(value, None, None, TOO_FEW, n, g)
    half = t_bound(tail, g - 1) * _error(sums - value * sizes, total)
    return Interval(value, value - half, value + half, f"t over {over}, ratio estimator", n, g)


def cluster_sums(
    values: Sequence[float] | Floats,
    clusters: Sequence[Hashable],
    names: Sequence[Hashable] | None = None,
) -> Floats:
    """Return the sum of the values of each cluster, in the order of `names`, else as they come."""
    ordered = dict.fromkeys(clusters) if names is None else names
    place = {name: index for index, name in enumerate(ordered)}
    places = np.array([place[name] for name in clusters], np.intp)
    return np.asarray(np.bincount(places, values, len(place)), np.float64)


def sign_flip(
    differences: Sequence[float], clusters: Sequence[Hashable], generator: np.random.Generator
) -> float:
    """Return the two-sided p value of "no difference": the signs of whole clusters are flipped.

    All 2^G flips for up to 13 clusters; else 10,000 draws, the observed one counted in, so that p
    is never 0 (Phipson and Smyth 2010).
    """
    sums = cluster_sums(differences, clusters)
    observed = abs(float(sums.sum()))
    g = len(sums)
    if g <= EXACT_CLUSTERS:
        bits = np.arange(2**g)[:, None] >> np.arange(g) & 1
        flipped = np.abs((1.0 - 2.0 * bits) @ sums)
        return float(np.mean(flipped >= observed - 1e-12))
    signs = generator.choice((-1.0, 1.0), size=(_DRAWS, g))
    beyond = int(np.count_nonzero(np.abs(signs @ sums) >= observed - 1e-12))
    return (beyond + 1) / (_DRAWS + 1)


def _mean_and_error(x: Floats, clusters: Sequence[Hashable]) -> tuple[float, float, int]:
    if len(x) != len(clusters) or not len(x):
        raise ValueError(f"{len(x)} values in {len(clusters)} places")
    mean = float(x.mean())
    sums = cluster_sums(x - mean, clusters)
    return mean, _error(sums, len(x)), len(sums)


def _error(off: Floats, total: float) -> float:
    """Return the standard error of a sum of clusters over a total, from what each is off by."""
    g = len(off)
    return math.sqrt(g / (g - 1) * float(off @ off)) / total if g > 1 else math.nan
