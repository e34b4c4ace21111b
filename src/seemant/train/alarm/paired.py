"""Whether a signal has fallen, from one paired difference a probe family.

    d_f = tuned - base of family f (a mean over its languages), oriented so that a fall is bad
    t = (mean d + tolerance) / SE        SE^2 = sum_f (d_f - mean d)^2 / (F (F - 1))

The family is the cluster, as everywhere: one fact in several languages is one observation. Any
fine-tuning moves a signal a little, so the hypothesis that is tested is "no worse than `tolerance`
below the base", not "unchanged".

Student's t is the p where the differences look Gaussian. Where their tails are heavy or they lean
to one side, its far tail is not to be trusted with 48 families, so the larger of two p values
counts: Student's, and that of the bootstrap of t over families (Efron and Tibshirani 1993,
chapter 12.5), the share of resamples whose t* = (mean d* - mean d) / SE* is as low as the t seen.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seemant.train.alarm.student_t import t_tail

Floats = NDArray[np.float64]
HEAVY, LEANING = 1.5, 0.7  # excess kurtosis and skewness: about two standard errors at 48 families
_DRAWS = 20_000
_FAR = 20.0  # p values more than this many times the level are not worth a bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One test. drift: mean d, se: its standard error, both in the signal's units; p: one-sided.

    method: "t", or "t and bootstrap-t" where the tails asked for it.
    """

    drift: float
    se: float
    t: float
    p: float
    method: str


def fall(d: Floats, tolerance: float, level: float, generator: np.random.Generator) -> Fall:
    """Test one look's differences d (F,), F >= 2. level: the p that would ring.

    Where all families moved alike (se = 0: as at the untrained model) the mean decides.
    """
    n = len(d)
    drift = float(d.mean())
    se = math.sqrt(float(d.var(ddof=1)) / n)
    if se <= 1e-12 * max(1.0, abs(drift)):
        fell = drift < -tolerance
        t = -math.inf if fell else math.inf
        return Fall(drift=drift, se=0.0, t=t, p=0.0 if fell else 1.0, method="t")
    t = (drift + tolerance) / se
    p = t_tail(-t, n - 1)
    if p > _FAR * level or not heavy(d):
        return Fall(drift=drift, se=se, t=t, p=p, method="t")
    p = max(p, bootstrap_tail(d, t, generator))
    return Fall(drift=drift, se=se, t=t, p=p, method="t and bootstrap-t")


def heavy(d: Floats) -> bool:
    """Return whether d has outliers or leans to one side more than a Gaussian sample does."""
    z = (d - d.mean()) / d.std()
    return bool((z**4).mean() - 3 > HEAVY or abs((z**3).mean()) > LEANING)


def bootstrap_tail(d: Floats, t: float, generator: np.random.Generator) -> float:
    """Return the share of bootstrap t* at or below t, the observed one counted in."""
    n = len(d)
    drawn = d[generator.integers(0, n, size=(_DRAWS, n))]
    mean = drawn.mean(1)
    se = np.sqrt(drawn.var(1, ddof=1) / n)
    centred = mean - d.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        star = np.where(se > 0, centred / se, np.sign(centred) * np.inf)
    return float((np.count_nonzero(star <= t) + 1) / (_DRAWS + 1))


def lower_end(d: Floats, confidence: float = 0.95) -> float:
    """Return the one-sided lower end of mean d's interval: what behaviour is at least."""
    from seemant.train.alarm.student_t import t_bound

    n = len(d)
    se = math.sqrt(float(d.var(ddof=1)) / n)
    return float(d.mean()) - t_bound(1 - confidence, n - 1) * se
