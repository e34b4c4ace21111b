"""Does adding predict? Random mixes are measured whole, and one factor a format is fitted.

    KLD(mix) ~ sum_f a_f sum_{g: x(g)=f} D+_{g,f},      1/4 <= a_f <= 4

by least squares of relative errors over mixes and languages. R^2 is of log KLD, each mix predicted
by factors fitted without it, so it is not flattered by fitting. Below .8 the allocator says that
its table does not predict this model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from seemant.compress.search.table import LEAST, MOST, Table
from seemant.core.seeds import rng

Mix = Mapping[str, str]
"""Group -> format."""
ENOUGH = 0.8
CAP = 0.5  # nats: costlier options say little of how small damages add


@dataclass(frozen=True, slots=True)
class Interaction:
    """What the mixes taught.

    factors: format -> a_f. r2: of log KLD, every mix left out in turn; r2_adding: of plain adding.
    predicted, measured: mix by mix, worst language, nats a token; predicted without that mix.
    """

    factors: Mapping[str, float]
    r2: float
    r2_adding: float
    predicted: tuple[float, ...]
    measured: tuple[float, ...]

    @property
    def trusted(self) -> bool:
        """Whether the table predicts well enough to be followed."""
        return self.r2 >= ENOUGH

    def reading(self) -> str:
        """Return one sentence on how far the prediction can be trusted."""
        n = len(self.measured)
        if self.trusted:
            return f"adding by format predicts {n} random mixes with R² {self.r2:.2f}"
        return (
            f"adding by format predicts {n} random mixes with R² of only {self.r2:.2f}: trust the "
            "measured damage of the result, and expect better choices to exist"
        )


def random_mixes(table: Table, n: int, *, seed: int, cap: float = CAP) -> list[dict[str, str]]:
    """Return n random assignments, each group's format drawn among those that cost at most `cap`.

    Half of a mix's groups or more are drawn near one common size, so that small and large files
    both occur.
    """
    generator = rng(seed, "mixes")
    mixes = []
    for _ in range(n):
        level = generator.random()
        mix = {}
        for group in table.groups:
            rows = [r for r in table.options(group.name) if max(r.kld.values()) <= cap]
            rows = rows or [table.options(group.name)[-1]]
            near = round(level * (len(rows) - 1) + generator.normal(0, len(rows) / 4))
            mix[group.name] = rows[min(max(near, 0), len(rows) - 1)].format
        mixes.append(mix)
    return mixes


def fit_interaction(
    table: Table, mixes: Sequence[Mix], measured: Sequence[Mapping[str, float]]
) -> Interaction:
    """Return the factors and how well they predict. measured: KLD of each mix by language.

    Raises:
        ValueError: fewer than 3 mixes, or a mix that did no damage.
    """
    if len(mixes) < 3:
        raise ValueError("fewer than 3 mixes teach nothing")
    formats = sorted({row.format for row in table.alone})
    x = np.stack([_sums(table, mix, formats) for mix in mixes])  # (mixes, languages, formats)
    y = np.array([[kld[lang] for lang in table.languages] for kld in measured])
    if (y <= 0).any():
        raise ValueError("a mix without damage has nothing to predict")
    factors = _fit(x, y)
    left_out = np.empty_like(y)
    for index in range(len(y)):
        rest = np.arange(len(y)) != index
        left_out[index] = x[index] @ _fit(x[rest], y[rest])
    return Interaction(
        factors=dict(zip(formats, factors.tolist(), strict=True)),
        r2=_r2(left_out, y),
        r2_adding=_r2(x.sum(-1), y),
        predicted=tuple(left_out.max(1).tolist()),
        measured=tuple(y.max(1).tolist()),
    )


def _sums(table: Table, mix: Mix, formats: Sequence[str]) -> NDArray[np.float64]:
    """Return the added costs of a mix, (languages, formats)."""
    found = np.zeros((len(table.languages), len(formats)))
    for row in table.alone:
        if mix.get(row.group) == row.format:
            costs = [max(row.kld[lang], 0.0) for lang in table.languages]
            found[:, formats.index(row.format)] += costs
    return found


def _fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the factors; formats that no mix uses keep 1."""
    relative = (x / y[..., None]).reshape(-1, x.shape[-1])
    found = np.ones(x.shape[-1])
    used = relative.any(0)
    if used.any():
        target = np.ones(len(relative))
        found[used] = lsq_linear(relative[:, used], target, bounds=(LEAST, MOST)).x
    return found


def _r2(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    p, m = np.log(np.maximum(predicted, 1e-9)).ravel(), np.log(measured).ravel()
    spread = float(((m - m.mean()) ** 2).sum())
    return 1 - float(((m - p) ** 2).sum()) / spread if spread > 0 else math.nan
