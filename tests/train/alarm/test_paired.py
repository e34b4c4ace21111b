"""The test of one signal at one look."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from seemant.train.alarm.bounds import Bounds
from seemant.train.alarm.paired import bootstrap_tail, fall, heavy, lower_end

LEVEL = Bounds(checks=20, signals=4).level


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(0, 10**6), st.floats(-2, 2), st.floats(0, 0.5))
def test_p_is_that_of_a_one_sided_t_test(seed: int, mean: float, tolerance: float) -> None:
    d = generator(seed).normal(mean, 1.0, 48)
    found = fall(d, tolerance, level=0.0, generator=generator())
    expected = ttest_1samp(d, -tolerance, alternative="less")
    assert found.p == pytest.approx(float(expected.pvalue), rel=1e-7, abs=1e-300)
    assert found.t == pytest.approx(float(expected.statistic), rel=1e-9, abs=1e-12)
    assert found.drift == pytest.approx(float(d.mean()))


def test_a_drift_within_the_tolerance_is_no_fall() -> None:
    d = generator().normal(-0.04, 0.02, 48)
    assert fall(d, 0.0, LEVEL, generator()).p < LEVEL
    assert fall(d, 0.05, LEVEL, generator()).p > 0.5


def test_families_that_moved_alike_are_judged_by_their_mean() -> None:
    assert fall(np.zeros(48), 0.0, LEVEL, generator()).p == 1
    assert fall(np.full(48, -0.2), 0.1, LEVEL, generator()).p == 0
    assert fall(np.full(48, -0.1), 0.2, LEVEL, generator()).p == 1


def test_gaussian_differences_do_not_ask_for_a_bootstrap() -> None:
    d = generator(3).normal(-1, 1, 48)
    assert not heavy(d)
    assert fall(d, 0.0, LEVEL, generator()).method == "t"


def test_the_bootstrap_is_held_against_students_t_where_differences_lean() -> None:
    d = generator(1).exponential(1.0, 48) - 1.9  # a long tail of families that rose
    assert heavy(d)
    found = fall(d, 0.0, LEVEL, generator())
    assert found.method == "t and bootstrap-t"
    assert found.p >= float(ttest_1samp(d, 0, alternative="less").pvalue)


def false_rings(draw: np.ndarray) -> float:
    """Share of samples that would ring at the level, t first, as the shortcut does."""
    t = draw.mean(1) / (draw.std(1, ddof=1) / np.sqrt(draw.shape[1]))
    suspects = draw[t < Bounds(checks=20, signals=4).t(48)]
    if not len(suspects):
        return 0.0
    some = suspects[:60]
    kept = np.mean([fall(d, 0.0, LEVEL, generator(1)).p <= LEVEL for d in some])
    return float(kept) * len(suspects) / len(draw)


@pytest.mark.parametrize(
    ("name", "most"), [("gaussian", 1.6), ("laplace", 1.2), ("t3", 1.2), ("rising", 4.0)]
)
def test_a_look_rings_falsely_about_as_often_as_its_level_says(name: str, most: float) -> None:
    shape = (60_000, 48)
    draws = {
        "gaussian": lambda: generator(1).standard_normal(shape),
        "laplace": lambda: generator(2).laplace(size=shape),
        "t3": lambda: generator(3).standard_t(3, shape),
        "rising": lambda: generator(4).exponential(size=shape) - 1,
    }
    assert false_rings(draws[name]()) <= most * LEVEL


def test_students_t_alone_would_ring_ten_times_too_often_on_differences_that_lean() -> None:
    draw = generator(4).exponential(size=(60_000, 48)) - 1
    t = draw.mean(1) / (draw.std(1, ddof=1) / np.sqrt(48))
    assert (t < Bounds(checks=20, signals=4).t(48)).mean() > 8 * LEVEL


def test_the_bootstrap_is_reproducible_and_counts_what_was_seen() -> None:
    d = generator(9).laplace(-0.5, 1, 48)
    first, second = (bootstrap_tail(d, -2.0, generator(7)) for _ in range(2))
    assert first == second
    assert bootstrap_tail(d, -1e9, generator(7)) == pytest.approx(1 / 20_001)


@given(st.integers(0, 10**6))
def test_the_lower_end_is_that_of_scipy(seed: int) -> None:
    d = generator(seed).normal(0.3, 1, 48)
    low = ttest_1samp(d, 0, alternative="greater").confidence_interval(0.95).low
    assert lower_end(d) == pytest.approx(float(low), rel=1e-8)
