"""Statistics of a damage map: rows of paired chunk sums in, intervals and verdicts out.

The unit of resampling is the chunk (a paragraph); one draw of chunks serves every cell of a
language, so differences between cells are paired. Where a bootstrap gives a standard error, tests
read it with Student's t and the factor sqrt(g / (g - 1)) of g chunks, as `stats.bootstrap` does.
"""

from dataclasses import dataclass

import numpy as np

from seemant.core.measurement import MIN_CLUSTERS
from seemant.stats.bootstrap import Floats
from seemant.stats.student_t import t_tail


def against_the_median(sums: Floats, sizes: Floats, drawn: Floats) -> Floats:
    """Return two-sided p values (cells,) of "this cell is like the median cell".

    sums (cells, chunks): what each cell lost in each chunk; sizes (chunks,); drawn (draws, chunks).
    T = D - median(D), the median taken anew in every draw, t = T / SE(T). Fewer than 8 chunks, or
    fewer than 3 cells, tell nothing: all are 1.
    """
    cells, g = sums.shape
    if g < MIN_CLUSTERS or cells < 3:
        return np.ones(cells)
    seen = sums.sum(1) / sizes.sum()
    resampled = (drawn @ sums.T) / (drawn @ sizes)[:, None]  # (draws, cells)
    excess = seen - np.median(seen)
    spread = resampled - np.median(resampled, axis=1, keepdims=True)
    error = spread.std(0, ddof=1) * np.sqrt(g / (g - 1))
    tiny = 1e-12 * max(float(np.abs(seen).max()), 1e-300)
    t = np.where(np.abs(excess) <= tiny, 0.0, np.abs(excess) / np.maximum(error, tiny))
    return np.array([min(1.0, 2 * t_tail(each, g - 1)) for each in t.tolist()])


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rho over `n` layers with its 95 % percentile interval; None: too few to say."""

    rho: float | None
    low: float | None
    high: float | None
    n: int


def spearman(
    column: Floats, sums: Floats, sizes: Floats, drawn: Floats, generator: np.random.Generator
) -> Correlation:
    """Return the rank correlation of a column (layers,) with the damage of sums (layers, chunks).

    Layers and chunks are redrawn together, for both are samples: of what this model's layers could
    be, and of text. A draw in which either side is constant has no rho and is left out.
    """
    n = len(column)
    if n < MIN_CLUSTERS:
        return Correlation(None, None, None, n)
    seen = rank_correlation(column[None], (sums.sum(1) / sizes.sum())[None])[0]
    if not np.isfinite(seen):
        return Correlation(None, None, None, n)
    damage = (drawn @ sums.T) / (drawn @ sizes)[:, None]
    at = generator.integers(0, n, size=(len(drawn), n))
    rhos = rank_correlation(column[at], np.take_along_axis(damage, at, 1))
    low, high = np.quantile(rhos[np.isfinite(rhos)], [0.025, 0.975])
    return Correlation(float(seen), float(low), float(high), n)


def rank_correlation(x: Floats, y: Floats) -> Floats:
    """Return Spearman's rho row by row, (draws, n) -> (draws,), nan where a side is constant."""
    from scipy.stats import rankdata  # takes a second to import

    a, b = (r - r.mean(1, keepdims=True) for r in (rankdata(x, axis=1), rankdata(y, axis=1)))
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        rho: Floats = (a * b).sum(1) / scale
    return rho


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """log D_lg = level + layer_l + language_g + residual_lg, shrunk residuals (layers, languages).

    kept: the share of each residual that is kept; 0 where it is all noise.
    """

    level: float
    layer: Floats
    language: Floats
    residual: Floats
    kept: Floats

    def log_ratio(self, first: int, second: int) -> Floats:
        """Return log(D_first / D_second) of every layer, after shrinkage."""
        base = self.language[first] - self.language[second]
        found: Floats = base + self.residual[:, first] - self.residual[:, second]
        return found


def additive(logs: Floats, variances: Floats) -> Additive:
    """Return the two-way additive fit of log damage (layers, languages), residuals shrunk.

    variances: of each entry, from the bootstrap. Empirical Bayes: with raw residuals r of L layers
    and G languages, tau^2 = max(0, sum r^2 / ((L-1)(G-1)) - mean variance) is what layers truly
    differ by, and residual = r tau^2 / (tau^2 + variance). A layer that seems to hurt one language
    only by noise is drawn back to the languages' common ratio.
    """
    n_layers, n_languages = logs.shape
    level = float(logs.mean())
    layer, language = logs.mean(1) - level, logs.mean(0) - level
    raw = logs - level - layer[:, None] - language[None]
    free = (n_layers - 1) * (n_languages - 1)
    true = max(0.0, float((raw**2).sum() / free - variances.mean())) if free else 0.0
    kept = np.divide(true, true + variances, out=np.zeros_like(raw), where=true + variances > 0)
    return Additive(level, layer, language, raw * kept, kept)
