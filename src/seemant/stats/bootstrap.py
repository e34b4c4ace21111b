"""The paired bootstrap over clusters, and what follows: ratios and their 95 % intervals.

Tokens of one paragraph are not independent, so the paragraph (or the probe family) is what is
redrawn. For a quantity with sums s_c over sizes n_c the estimate is the ratio sum s_c / sum n_c,
and its interval the 95 % percentile interval of B = 10,000 paired bootstraps: one draw of clusters
serves every quantity, so differences between them are paired.

Over g clusters the plain percentiles are too narrow: the spread among g draws lacks the factor
sqrt(g/(g-1)), and the normal stands where t should (about 91 % covered at g = 10). So they are
taken at a' and 1 - a', with

    a' = Phi(-t(0.975, g-1) sqrt(g/(g-1)))

(Hesterberg, The American Statistician 69(4), 2015, section 4.3 and its "expanded percentile").
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.interval import Interval
from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.stats.student_t import LEVEL, t_bound

Floats = NDArray[np.float64]
DRAWS = 10_000
METHOD = "paired chunk bootstrap, expanded percentiles, 95 %"


def draws(n_clusters: int, generator: np.random.Generator, n_draws: int = DRAWS) -> Floats:
    """Return how often each cluster is drawn, (draws, clusters); each row sums to n_clusters."""
    chances = np.full(n_clusters, 1 / n_clusters)
    return generator.multinomial(n_clusters, chances, size=n_draws).astype(np.float64)


def ratio(
    sums: Sequence[float] | NDArray[Any],
    sizes: Sequence[float] | NDArray[Any],
    drawn: Floats,
    *,
    exponential: bool = False,
    n: int | None = None,
) -> Interval:
    """Return sum(sums) / sum(sizes), or its exponential, with the interval from these draws.

    sums, sizes (clusters,); drawn (draws, clusters) from `draws`. A difference of two routes is the
    ratio of the differences of their sums. n: observations; None: sizes count them.
    """
    s, size = np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    value, g = float(s.sum() / size.sum()), len(s)
    said = math.exp if exponential else float
    counted = round(float(size.sum())) if n is None else n
    if g < MIN_CLUSTERS:
        return Interval(said(value), None, None, TOO_FEW, counted, g)
    low, high = expanded_ends(value, (drawn @ s) / (drawn @ size), g)
    return Interval(said(value), said(low), said(high), METHOD, counted, g)


def expanded_ends(value: float, redrawn: Floats, n_clusters: int) -> tuple[float, float]:
    """Return the 95 % ends of a figure from its values on the draws (draws,), around `value`."""
    tail = expanded_tail(n_clusters)
    low, high = np.quantile(redrawn, [tail, 1 - tail])
    return min(float(low), value), max(float(high), value)


def expanded_tail(n_clusters: int) -> float:
    """Return the share of draws to leave out at each end for 95 % over so many clusters (>= 2)."""
    g = n_clusters
    return 0.5 * math.erfc(t_bound(LEVEL, g - 1) * math.sqrt(g / (g - 1)) / math.sqrt(2))
