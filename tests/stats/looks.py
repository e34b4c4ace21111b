"""The bounds, tried on simulated runs: how often they ring falsely, how late they ring rightly.

A probe's error in look k is AR(1): e_k = rho e_(k-1) + sqrt(1 - rho^2) z_k with standard normal z,
since looks at the same probes a few steps apart have much in common. A fall of `drift` standard
deviations of a probe begins at the fourth look, in thirds, in one of the m signals. All runs are
one array, so that the table takes seconds.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seemant.stats.sequential import ALPHA, Bounds
from seemant.stats.student_t import t_bound

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
SimRule = Literal["two-se", "two-se-twice", "once", "twice", "obrien-fleming", "twice-loose"]
RULES: tuple[SimRule, ...] = (
    "two-se",
    "two-se-twice",
    "once",
    "twice",
    "obrien-fleming",
    "twice-loose",
)
ONSET, RAMP = 4, 3  # looks: the fall begins at the fourth, a third of it at each


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule did.

    false: share of silent runs that rang. found: share of falls whose first ring came at their
    onset or later. delay: of those, the median looks from onset to ring; 0 is the onset's own.
    """

    false: float
    found: float
    delay: float


def t_values(
    *,
    runs: int,
    checks: int = 20,
    signals: int = 4,
    families: int = 48,
    rho: float,
    drift: float = 0.0,
    seed: int = 0,
) -> Floats:
    """Return the t of every look, (runs, checks, signals) float32; the first signal drifts."""
    generator = np.random.default_rng(seed)
    shape = (runs, signals, families)
    fresh = np.float32(np.sqrt(1 - rho * rho))
    error = generator.standard_normal(shape, dtype=np.float32)
    found = np.empty((runs, checks, signals), np.float32)
    for look in range(checks):
        if look:
            error *= np.float32(rho)
            error += fresh * generator.standard_normal(shape, dtype=np.float32)
        mean = error.mean(2)
        spread = error.std(2, ddof=1) / np.float32(np.sqrt(families))
        mean[:, 0] -= np.float32(drift * min(1.0, max(0.0, (look + 2 - ONSET) / RAMP)))
        found[:, look] = mean / spread
    return found


def rings(t: Floats, rule: SimRule, families: int = 48, alpha: float = ALPHA) -> Bools:
    """Return whether each look rings, (runs, checks): any signal beyond the rule's bound."""
    checks, signals = t.shape[1:]
    limits = np.array([_limit(rule, k, checks, signals, families, alpha) for k in range(checks)])
    below = t < limits[:, None]
    if rule in ("two-se-twice", "twice", "twice-loose"):
        below[:, 1:] &= below[:, :-1].copy()
        below[:, 0] = False
    return np.asarray(below.any(2))


def outcome(silent: Floats, fallen: Floats, rule: SimRule, families: int = 48) -> Outcome:
    """Return what a rule did on runs without and with a fall."""
    false = rings(silent, rule, families).any(1)
    rang = rings(fallen[:, :, :1], rule, families, ALPHA / fallen.shape[2])
    found = rang.any(1) & ~rang[:, : ONSET - 1].any(1)
    delays = rang.argmax(1)[found] - (ONSET - 1)
    return Outcome(
        false=float(false.mean()),
        found=float(found.mean()),
        delay=float(np.median(delays)) if len(delays) else float("nan"),
    )


def _limit(
    rule: SimRule, look: int, checks: int, signals: int, families: int, alpha: float
) -> float:
    """Return the t that a look must be below."""
    df = families - 1
    if rule in ("two-se", "two-se-twice"):
        return -2.0
    if rule in ("once", "twice"):
        kind = Bounds(checks=checks, signals=signals, rule=rule, alpha=alpha)
        return kind.t(families)
    if rule == "twice-loose":
        return -t_bound(alpha / (2 * signals), df)
    return -t_bound(max(_spent(look + 1, checks, alpha / signals), 1e-30), df)


def _spent(look: int, checks: int, alpha: float) -> float:
    """Return what O'Brien and Fleming's spending function of Lan and DeMets gives to one look.

    alpha(t) = 2 - 2 Phi(z(alpha / 2) / sqrt t) is spent by time t; a look gets its increment.
    """
    from statistics import NormalDist

    z = NormalDist().inv_cdf(1 - alpha / 2)

    def by(k: int) -> float:
        return 2 * NormalDist().cdf(-z / np.sqrt(k / checks)) if k else 0.0

    return by(look) - by(look - 1)
