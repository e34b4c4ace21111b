"""Intervals: equations by a naive loop, equivariance, and coverage on data with a known answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seemant.core.interval import Interval
from seemant.core.measurement import TOO_FEW
from seemant.stats.clusters import (
    ALL_ALIKE,
    cluster_mean,
    cluster_ratio,
    cluster_sums,
    paired_difference,
    proportion,
    sign_flip,
    wilson,
)

DATA = st.lists(st.tuples(st.floats(-10, 10), st.integers(0, 12)), min_size=30, max_size=60)


def _naive(values: list[float], clusters: list[int]) -> tuple[float, float, float, int]:
    """Miller's equation by plain loops."""
    mean = sum(values) / len(values)
    total, names = 0.0, sorted(set(clusters))
    for name in names:
        inner = 0.0
        for value, cluster in zip(values, clusters, strict=True):
            if cluster == name:
                inner += value - mean
        total += inner * inner
    g = len(names)
    error = math.sqrt(g / (g - 1) * total / len(values) ** 2)
    half = float(stats.t.ppf(0.975, g - 1)) * error
    return mean, mean - half, mean + half, g


@given(DATA)
def test_the_cluster_interval_is_the_naive_one(data: list[tuple[float, int]]) -> None:
    values, clusters = [v for v, _ in data], [c for _, c in data]
    found = cluster_mean(values, clusters)
    if len(set(clusters)) < 8:
        assert found.low is None
        return
    mean, low, high, g = _naive(values, clusters)
    if found.low is None:
        assert found.method == ALL_ALIKE
        assert high - low <= 1e-9
        return
    assert (found.value, found.low, found.high) == pytest.approx((mean, low, high), abs=1e-9)
    assert found.n_clusters == g


@pytest.mark.parametrize("seed", range(20))
def test_a_clustered_ratio_is_the_naive_one_to_the_last_digits(seed: int) -> None:
    """Cochran's equation 6.13 by plain loops; the two tails are of a 95 % and a 90 % interval."""
    rng = np.random.default_rng(seed)
    values, sizes = rng.normal(60, 9, 50), rng.integers(5, 40, 50)
    clusters = [*range(9), *rng.integers(0, 9 + seed, 41).tolist()]
    names = list(dict.fromkeys(clusters))
    s = [sum(v for v, c in zip(values, clusters, strict=True) if c == name) for name in names]
    n = [sum(k for k, c in zip(sizes, clusters, strict=True) if c == name) for name in names]
    g, value = len(names), math.fsum(s) / sum(n)
    squares = sum((a - value * b) ** 2 for a, b in zip(s, n, strict=True))
    error = math.sqrt(g / (g - 1) * squares) / sum(n)
    pair = cluster_sums(values, clusters), cluster_sums(sizes, clusters)
    for tail in (0.025, 0.05):
        found = cluster_ratio(*pair, n=50, over="rows", tail=tail)
        half = float(stats.t.isf(tail, g - 1)) * error
        expected = [value, value - half, value + half]
        assert [found.value, found.low, found.high] == pytest.approx(expected, rel=1e-12)
    assert (found.n, found.n_clusters) == (50, g)
    few = cluster_ratio(pair[0][:7], pair[1][:7], n=7, over="rows")
    assert (few.low, few.high, few.method) == (None, None, TOO_FEW)


def test_sums_keep_the_order_of_clusters_and_refuse_what_does_not_fit() -> None:
    assert cluster_sums([1.0, 2.0, 4.0], ["b", "a", "b"]).tolist() == [5.0, 2.0]
    assert cluster_sums([1.0, 2.0], ["b", "a"], ["a", "c", "b"]).tolist() == [2.0, 0.0, 1.0]
    assert cluster_sums([], [], ["a"]).tolist() == [0.0]
    with pytest.raises(ValueError, match="same length"):
        cluster_sums([1.0], ["a", "b"])


@given(DATA, st.floats(0.1, 5), st.floats(-5, 5))
def test_intervals_follow_a_change_of_scale_and_origin(
    data: list[tuple[float, int]], scale: float, shift: float
) -> None:
    values, clusters = [v for v, _ in data], [c for _, c in data]
    if len(set(clusters)) < 8:
        return
    one = cluster_mean(values, clusters)
    two = cluster_mean([scale * v + shift for v in values], clusters)
    if one.low is None or two.low is None:
        assert ALL_ALIKE in (one.method, two.method)
        return
    assert one.high is not None
    expected = [scale * each + shift for each in (one.value, one.low, one.high)]
    assert [two.value, two.low, two.high] == pytest.approx(expected, abs=1e-6)


def test_one_item_a_cluster_is_the_ordinary_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=20)
    found = cluster_mean(values.tolist(), range(20))
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize("function", [cluster_mean, proportion, wilson])
def test_fewer_than_eight_clusters_have_no_interval(function: object) -> None:
    assert callable(function)
    found: Interval = function([0.0, 1.0] * 50, [n % 7 for n in range(100)])
    assert (found.low, found.high, found.method) == (None, None, TOO_FEW)
    assert function([0.0, 1.0] * 50, [n % 8 for n in range(100)]).low is not None


def test_repeating_each_item_adds_no_evidence() -> None:
    values = [float(n % 3 == 0) for n in range(30)]
    once = cluster_mean(values, range(30))
    thrice = cluster_mean(values * 3, [*range(30)] * 3)
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))
    rare = [float(n == 0) for n in range(30)]
    low = wilson(rare, range(30)), wilson(rare * 3, [*range(30)] * 3)
    assert low[0].high == pytest.approx(low[1].high, rel=0.05)


def test_a_share_of_nought_or_one_still_has_an_interval() -> None:
    none, every = proportion([0.0] * 40, range(40)), proportion([1.0] * 40, range(40))
    assert none.low == 0.0
    assert none.high is not None
    assert 0.05 < none.high < 0.12
    assert every.high == 1.0
    assert every.low == pytest.approx(1 - none.high)


def test_clusters_that_all_agree_have_no_interval_rather_than_one_without_width() -> None:
    for value in (0.0, 0.1, -3.7):
        found = cluster_mean([value] * 30, [n % 10 for n in range(30)])
        assert (found.low, found.high, found.method) == (None, None, ALL_ALIKE)
        assert found.value == pytest.approx(value)
    same = paired_difference([1.0, 0.0] * 10, [1.0, 0.0] * 10, range(20))
    assert (same.value, same.low, same.method) == (0.0, None, ALL_ALIKE)
    halves = proportion([0.0, 1.0] * 20, [n // 2 for n in range(40)])
    assert (halves.value, halves.low, halves.method) == (0.5, None, ALL_ALIKE)


def test_a_paired_difference_is_the_mean_of_the_differences() -> None:
    after, before = [1.0, 1.0, 0.0] * 10, [0.0, 1.0, 1.0] * 10
    found = paired_difference(after, before, range(30))
    assert found.value == 0.0
    assert found.low == pytest.approx(-(found.high or 0.0))


def test_exact_sign_flips_count_all_signs() -> None:
    rng = np.random.default_rng(0)
    # All eight positive: only + + ... + and - - ... - are as extreme: 2 of 256.
    assert sign_flip([1.0] * 8, range(8), rng) == pytest.approx(2 / 256)
    assert sign_flip([0.0] * 8, range(8), rng) == 1.0
    assert sign_flip([1.0, -1.0] * 4, range(8), rng) == 1.0


def test_drawn_sign_flips_agree_with_exact_ones() -> None:
    values = np.random.default_rng(3).normal(0.4, 1, size=13)
    exact = sign_flip(values.tolist(), range(13), np.random.default_rng(0))
    # A fourteenth cluster without a difference changes no flip, but makes the signs drawn.
    drawn = sign_flip([*values.tolist(), 0.0], range(14), np.random.default_rng(0))
    assert drawn == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(
    ("p", "families", "bar"),
    # Bars: 95 +- 1 % at 70 families and .2 <= p <= .8; 93-97 % elsewhere (evaluation notes, 2).
    # 2,000 repetitions have a Monte Carlo error of 1 point at 2 sd, which is added.
    [
        (0.5, 70, (0.93, 0.97)),
        (0.2, 70, (0.93, 0.97)),
        (0.1, 43, (0.92, 0.985)),
        (0.5, 20, (0.92, 0.98)),
    ],
)
def test_intervals_of_clustered_shares_cover(
    p: float, families: int, bar: tuple[float, float]
) -> None:
    """Three items a family, correlation .4 within: the truth is in 95 % of the intervals."""
    rng = np.random.default_rng(11)
    hits, naive_hits, repetitions = 0, 0, 2000
    clusters = np.repeat(np.arange(families), 3)
    scale = 0.4 / 0.6  # beta(p s, (1-p) s) with s = (1 - rho) / rho has intra-class correlation rho
    size = 1 / scale
    for _ in range(repetitions):
        chance = np.repeat(rng.beta(p * size, (1 - p) * size, families), 3)
        values = (rng.random(3 * families) < chance).astype(float)
        found = proportion(values.tolist(), clusters.tolist())
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= p <= found.high
        half = 1.96 * values.std() / math.sqrt(len(values))
        naive_hits += abs(values.mean() - p) <= half
    assert bar[0] <= hits / repetitions <= bar[1]
    assert naive_hits / repetitions < 0.90  # what counting items would have claimed as 95 %


def test_the_paired_test_rejects_a_true_null_in_five_percent() -> None:
    rng = np.random.default_rng(5)
    rejected, repetitions = 0, 600
    for _ in range(repetitions):
        shared = np.repeat(rng.normal(size=10), 3)
        differences = shared + rng.normal(size=30)
        rejected += sign_flip(differences.tolist(), np.repeat(range(10), 3).tolist(), rng) <= 0.05
    assert 0.03 <= rejected / repetitions <= 0.075
