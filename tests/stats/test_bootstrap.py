"""The paired bootstrap of ratios: by a naive loop, in closed cases, and its coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from seemant.core.measurement import TOO_FEW
from seemant.stats.bootstrap import draws, expanded_tail, ratio


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_is_the_naive_one_to_the_last_digits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    g = int(rng.integers(8, 40))
    sums, sizes = rng.gamma(2, 1, g), rng.integers(40, 80, g).astype(float)
    drawn = draws(g, rng, 300)
    redrawn = [
        sum(k * s for k, s in zip(row, sums, strict=True))
        / sum(k * n for k, n in zip(row, sizes, strict=True))
        for row in drawn
    ]
    tail = stats.norm.cdf(-stats.t.ppf(0.975, g - 1) * math.sqrt(g / (g - 1)))
    value = sums.sum() / sizes.sum()
    ends = np.quantile(redrawn, [tail, 1 - tail])
    found, grown = ratio(sums, sizes, drawn), ratio(sums, sizes, drawn, exponential=True, n=g)
    expected = [value, min(ends[0], value), max(ends[1], value)]
    assert [found.value, found.low, found.high] == pytest.approx(expected, rel=1e-12)
    assert [grown.value, grown.low, grown.high] == pytest.approx(np.exp(expected), rel=1e-12)
    assert (found.n, grown.n) == (int(sizes.sum()), g)


def test_the_ratio_weighs_chunks_by_their_tokens() -> None:
    drawn = draws(8, np.random.default_rng(0), 2000)
    assert (drawn.sum(axis=1) == 8).all()
    sizes = [10.0] * 7 + [100.0]
    found = ratio([10.0] * 7 + [0.0], sizes, drawn)
    assert found.value == pytest.approx(70 / 170)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert (found.n, found.n_clusters) == (170, 8)


def test_a_constant_has_an_interval_without_width() -> None:
    drawn = draws(9, np.random.default_rng(0))
    found = ratio([2.0 * n for n in range(1, 10)], [float(n) for n in range(1, 10)], drawn)
    assert (found.low, found.value, found.high) == pytest.approx((2.0, 2.0, 2.0))
    grown = ratio([1.0] * 9, [1.0] * 9, drawn, exponential=True)
    assert (grown.low, grown.value, grown.high) == pytest.approx((math.e,) * 3)


def test_few_chunks_have_no_interval() -> None:
    found = ratio([1.0] * 7, [1.0] * 7, draws(7, np.random.default_rng(0), 10))
    assert (found.low, found.method) == (None, TOO_FEW)


def test_the_bootstrap_covers() -> None:
    """Ratio of means over 10 chunks of unequal size: the plain percentiles would not."""
    rng = np.random.default_rng(2)
    hits, plain, repetitions = 0, 0, 3000
    drawn = draws(10, rng, 2000)
    for _ in range(repetitions):
        sizes = rng.integers(40, 80, 10).astype(float)
        sums = rng.gamma(16.0, 0.0125, 10) * sizes
        low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
        plain += low <= 0.2 <= high
        found = ratio(sums.tolist(), sizes.tolist(), drawn)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.2 <= found.high
    assert 0.935 <= hits / repetitions <= 0.965
    assert plain / repetitions < 0.925


def test_the_expanded_tail_is_that_of_t_and_goes_to_its_normal_share() -> None:
    expected = stats.norm.cdf(-stats.t.ppf(0.975, 9) * math.sqrt(10 / 9))
    assert expanded_tail(10) == pytest.approx(expected)
    assert expanded_tail(10) < expanded_tail(40) < 0.025
    assert expanded_tail(100_000) == pytest.approx(0.025, rel=1e-3)
