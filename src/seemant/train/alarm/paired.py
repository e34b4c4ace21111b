"""Whether a signal has fallen, from one paired difference a probe family.

    d_f = tuned - base of family f, oriented so that a fall is bad
    t = (mean d + tolerance) / SE        SE^2 = sum_L (n_L / F)^2 s_L^2 / n_L

L are the languages that the families were dealt to: n_L families, s_L^2 their own variance, so
that one language that falls alone does not hide behind the spread that it makes itself. Degrees of
freedom are Welch's. Where there are several languages each is tested by itself too, and the
smallest p is multiplied by the number of tests (Bonferroni): the level of a look stays.

The family is the cluster, as everywhere: one fact in several languages is one observation. Any
fine-tuning moves a signal a little, so the hypothesis that is tested is "no worse than `tolerance`
below the base", not "unchanged".

Student's t rings falsely where differences lean: of a few families that rose far, most samples hold
too few, and then mean and SE are both too low. So where Student's t would ring, `stats.tails` must
agree, and the largest p counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seemant.stats.student_t import t_bound, t_tail
from seemant.stats.tails import tail

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One test. drift: mean d, se: its standard error, both in the signal's units; p: one-sided.

    t, df: of all families; bound: the t below which they would ring. p: the smallest over all
    families and single languages, times the number of tests. where: the language whose own fall is
    the smallest p, "" for all families. method: "t", or with what else was asked.
    """

    drift: float
    se: float
    t: float
    df: float
    bound: float
    p: float
    where: str
    method: str


@dataclass(frozen=True, slots=True)
class _Test:
    drift: float
    se: float
    t: float
    df: float
    p: float
    method: str


def fall(
    d: Floats,
    tolerance: float,
    level: float,
    generator: np.random.Generator,
    languages: Sequence[str] = (),
) -> Fall:
    """Test one look's differences d (F,), F >= 2. level: the p that would ring.

    languages: of each family; none: one for all. Where all families moved alike (se = 0: as at the
    untrained model) the mean decides. A language of one family has no test of its own.
    """
    named = np.asarray(languages if languages else ["all"] * len(d))
    parts = {name: d[named == name] for name in dict.fromkeys(named.tolist())}
    if min(map(len, parts.values())) < 2:
        parts = {"all": d}
    alone = parts if len(parts) > 1 else {}
    n = 1 + len(alone)
    whole = _test(list(parts.values()), tolerance, level / n, generator)
    found = {"": whole}
    found |= {name: _test([part], tolerance, level / n, generator) for name, part in alone.items()}
    where = min(found, key=lambda name: found[name].p)
    return Fall(
        drift=whole.drift,
        se=whole.se,
        t=whole.t,
        df=whole.df,
        bound=-t_bound(level / n, whole.df) if level else -math.inf,
        p=min(1.0, n * found[where].p),
        where=where,
        method=found[where].method,
    )


def _test(
    parts: Sequence[Floats], tolerance: float, level: float, generator: np.random.Generator
) -> _Test:
    n = sum(map(len, parts))
    drift = sum(float(part.sum()) for part in parts) / n
    pieces = [(len(p) / n) ** 2 * float(p.var(ddof=1)) / len(p) for p in parts]
    se = math.sqrt(sum(pieces))
    if se <= 1e-12 * max(1.0, abs(drift)):
        fell = drift < -tolerance
        t = -math.inf if fell else math.inf
        return _Test(drift, 0.0, t, n - len(parts), 0.0 if fell else 1.0, "t")
    df = sum(pieces) ** 2 / sum(v * v / (len(p) - 1) for v, p in zip(pieces, parts, strict=True))
    t = (drift + tolerance) / se
    p = t_tail(-t, df)
    if p > level:
        return _Test(drift, se, t, df, p, "t")
    return _Test(drift, se, t, df, max(p, tail(parts, t, df, level, generator)), "t and tails")


def lower_end(d: Floats, confidence: float = 0.95) -> float:
    """Return the one-sided lower end of mean d's interval: what behaviour is at least."""
    n = len(d)
    se = math.sqrt(float(d.var(ddof=1)) / n)
    return float(d.mean()) - t_bound(1 - confidence, n - 1) * se
