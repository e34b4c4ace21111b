"""The statistics of a damage map against naive versions and known answers."""

import numpy as np
import pytest
from scipy import stats

from seemant.compress.attribution.statistics import (
    additive,
    against_the_median,
    rank_correlation,
    spearman,
)
from seemant.core.measurement import TOO_FEW
from seemant.stats.bootstrap import draws, ratio

RNG = np.random.default_rng


def test_rank_correlation_is_scipy_s_also_with_ties() -> None:
    x, y = RNG(0).integers(0, 4, size=(2, 40, 5)).astype(float)
    for row, found in enumerate(rank_correlation(x, y)):
        if len(set(x[row])) > 1 and len(set(y[row])) > 1:
            assert found == pytest.approx(stats.spearmanr(x[row], y[row]).statistic, abs=1e-9)
        else:
            assert np.isnan(found)


def test_only_the_cell_that_differs_is_found() -> None:
    generator = RNG(3)
    common = generator.gamma(4, 1, size=30)  # hard chunks are hard for every layer
    sums = common * generator.gamma(50, 0.02, size=(12, 30))
    sums[7] *= 1.5
    p = against_the_median(sums, np.full(30, 40.0), draws(30, RNG(0), 4000))
    assert np.flatnonzero(stats.false_discovery_control(p) <= 0.05).tolist() == [7]


def test_equal_cells_are_called_different_no_more_often_than_the_level() -> None:
    generator, drawn, false = RNG(5), draws(20, RNG(1), 1000), 0
    for _ in range(60):
        sums = generator.gamma(4, 1, size=20) * generator.gamma(20, 0.05, size=(9, 20))
        false += int((against_the_median(sums, np.ones(20), drawn) <= 0.05).sum())
    assert false / (60 * 9) < 0.06


def test_too_few_chunks_tell_nothing() -> None:
    sums = RNG(0).gamma(1, 1, size=(5, 7))
    assert (against_the_median(sums, np.ones(7), draws(7, RNG(0), 100)) == 1).all()
    found = ratio(sums[0], sums[1], draws(7, RNG(0), 100))
    assert found.low is None and found.method == TOO_FEW
    none = spearman(np.arange(5.0), sums, np.ones(7), draws(7, RNG(0), 100), RNG(0))
    assert none.rho is None


def test_a_quotient_of_paired_chunks_is_tight() -> None:
    under = RNG(0).gamma(1, 1, size=40)
    over = 2 * under * RNG(1).gamma(400, 1 / 400, 40)
    found = ratio(over, under, draws(40, RNG(2), 2000))
    assert found.value == pytest.approx(over.sum() / under.sum())
    assert found.low is not None and found.high is not None
    assert found.low < found.value < found.high < found.low + 0.1
    alike = ratio(2 * under, under, draws(40, RNG(2), 2000))
    assert alike.low == pytest.approx(2) and alike.high == pytest.approx(2)


def test_a_column_that_orders_the_damage_is_found() -> None:
    level = np.linspace(1, 5, 18)
    sums = level[:, None] * RNG(0).gamma(30, 1 / 30, size=(18, 15))
    drawn = draws(15, RNG(1), 1000)
    up = spearman(level, sums, np.ones(15), drawn, RNG(2))
    assert up.rho is not None and up.low is not None and up.rho > 0.95 and up.low > 0.8
    none = spearman(RNG(8).permutation(level), sums, np.ones(15), drawn, RNG(2))
    assert none.low is not None and none.high is not None and none.low < 0 < none.high


def test_the_additive_fit_keeps_margins_and_shrinks_noise() -> None:
    layer, language = RNG(0).normal(size=18), np.array([0.5, 0.0, -0.5])
    clean = layer[:, None] + language
    noise = RNG(1).normal(scale=0.2, size=clean.shape)
    noisy = additive(clean + noise, np.full(clean.shape, 0.04))
    raw = clean + noise
    true = language[0] - language[2]
    assert np.abs(noisy.log_ratio(0, 2) - true).mean() < 0.4 * np.abs(
        raw[:, 0] - raw[:, 2] - true).mean()  # fmt: skip
    clean[4, 0] += 3  # one layer that truly hurts one language
    found = additive(clean, np.full(clean.shape, 1e-4))
    assert found.kept.min() > 0.99
    assert found.log_ratio(0, 2)[4] == pytest.approx(clean[4, 0] - clean[4, 2], abs=0.05)
    assert found.level + found.layer[:, None] + found.language + found.residual / found.kept == (
        pytest.approx(clean))  # fmt: skip
