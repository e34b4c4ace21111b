"""The paired bootstrap: whole probe families are redrawn, the same ones for every candidate.

Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13. The family is the
unit: its questions in several languages share one fact, so they are drawn together, and all
candidates are judged on the same draw, which takes a family's difficulty out of every comparison.
"""

import numpy as np

from seemant.core.seeds import rng
from seemant.frontier.dominance import Floats, dominates
from seemant.stats.bootstrap import draws

# Sums of the same numbers in another order differ in the 16th digit; a tie must stay a tie.
_DIGITS = 12


def draw(n_families: int, resamples: int, seed: int) -> Floats:
    """Return how often each family is drawn, (resamples, families); each row sums to n_families."""
    return draws(n_families, rng(seed, "frontier", "families"), resamples)


def resampled_means(scores: Floats, counts: Floats) -> Floats:
    """Return each candidate's mean score a language in each resample.

    scores (candidates, languages, families), NaN where a candidate has no score; counts
    (resamples, families) -> (resamples, candidates, languages); -inf where nothing was drawn.
    """
    known = ~np.isnan(scores)
    total = np.einsum("rf,clf->rcl", counts, np.where(known, scores, 0.0))
    weight = np.einsum("rf,clf->rcl", counts, known.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, np.round(total / weight, _DIGITS), -np.inf)


def p_dominated(scores: Floats, costs: Floats, counts: Floats) -> Floats:
    """Return, for each candidate, the share of resamples in which some other one dominates it.

    costs (candidates, costs), smaller is better: they are sizes and medians, the same in every
    resample. Only the qualities are redrawn.
    """
    means = resampled_means(scores, counts)
    fixed = np.broadcast_to(-costs, (len(means), *costs.shape))
    beaten = dominates(np.concatenate([means, fixed], axis=-1)).any(axis=-2)
    return np.asarray(beaten.mean(axis=0))


def worst_language_difference(a: Floats, b: Floats, counts: Floats) -> tuple[float, float, float]:
    """Return (difference, low, high): a's quality in its worst language less b's in its worst.

    a, b (languages, families). The interval is the 95 % percentile interval of the paired
    bootstrap. The languages are those asked for, so both must have scores in each.
    """
    both = np.stack([a, b])
    point = resampled_means(both, np.ones((1, both.shape[-1]))).min(axis=-1)[0]
    drawn = resampled_means(both, counts).min(axis=-1)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]  # one may hold no family of some language
    gaps = drawn[:, 0] - drawn[:, 1]
    low, high = np.quantile(gaps, [0.025, 0.975]) if len(gaps) else (-np.inf, np.inf)
    return float(point[0] - point[1]), float(low), float(high)
