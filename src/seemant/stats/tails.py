"""A second opinion on a t that would ring, for differences that lean or have outliers.

Two statistics, the t and Hall's transformation of it, which takes the skewness out to second order
(Hall 1992, Journal of the Royal Statistical Society B 54, 221-228):

    g(t) = t + c t^2 / 3 + c^2 t^3 / 27 + c / 6        c: skewness of the mean

and two ways to a p: Student's distribution of g(t), and the bootstrap of both over families, within
languages (Efron and Tibshirani 1993, chapter 12.5): the share of resamples whose own statistic is
as low as the one seen. The largest p counts. No cure is complete: what a sample does not hold,
nothing in it can tell (docs/methods/alarm.md gives the rates).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.stats.student_t import t_tail

Floats = NDArray[np.float64]
_TO_LEVEL = 20  # resamples a level's reciprocal: at the level 20 of them lie in the tail
_FEWEST = 20_000
_AT_ONCE = 4_096  # resamples in memory: 1.5 MB an array of 48 families


def tail(
    parts: Sequence[Floats], t: float, df: float, level: float, generator: np.random.Generator
) -> float:
    """Return the largest of the p values of a t that was seen. parts: d (n_L,) of each language.

    level: what it is compared with. 20 / level resamples, 20,000 at least, are drawn in pieces.
    """
    origin = sum(float(part.sum()) for part in parts) / sum(map(len, parts))
    _, se, lean = _moments([part[None] for part in parts], [float(part.mean()) for part in parts])
    seen = float(hall(np.array([t]), lean)[0])
    p = t_tail(-seen, df)
    if p > level or not math.isfinite(origin):
        return p  # it does not ring, whatever resamples say
    draws = max(_FEWEST, math.ceil(_TO_LEVEL / level)) if level else _FEWEST
    below = np.zeros(2)
    for start in range(0, draws, _AT_ONCE):
        rows = min(_AT_ONCE, draws - start)
        drawn = [part[generator.integers(0, len(part), size=(rows, len(part)))] for part in parts]
        mean, se, lean = _moments(drawn, [float(part.mean()) for part in parts])
        with np.errstate(divide="ignore", invalid="ignore"):
            star = np.where(se > 0, mean / se, np.sign(mean) * np.inf)
            turned = np.where(se > 0, hall(star, lean), star)
        below += [np.count_nonzero(star <= t), np.count_nonzero(turned <= seen)]
    return max(p, float(below.max() + 1) / (draws + 1))


def hall(t: Floats, lean: Floats) -> Floats:
    """Return g(t), monotone in t. lean: skewness of the mean."""
    return t + lean * t**2 / 3 + lean**2 * t**3 / 27 + lean / 6


def _moments(parts: Sequence[Floats], centres: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """Return mean of d less the centres, its SE and skewness; parts (R, n_L) of each language."""
    n = sum(part.shape[1] for part in parts)
    mean = np.zeros(len(parts[0]))
    second, third = mean.copy(), mean.copy()
    for part, centre in zip(parts, centres, strict=True):
        k = part.shape[1]
        w = k / n
        own = part.mean(1)
        away = part - own[:, None]
        square = away * away
        mean += w * (own - centre)
        second += w**2 * square.sum(1) / ((k - 1) * k)
        third += w**3 * (square * away).sum(1) / max(1, (k - 1) * (k - 2)) / k
    se = np.sqrt(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, se, np.where(se > 0, third / se**3, 0.0)
