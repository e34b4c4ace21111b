"""The test of one signal at one look."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from seemant.stats.sequential import Bounds
from seemant.stats.tails import hall, tail
from seemant.train.alarm.paired import fall, lower_end

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


def test_a_t_that_would_not_ring_asks_for_no_bootstrap() -> None:
    assert fall(generator(3).normal(0, 1, 48), 0.0, LEVEL, generator()).method == "t"


def test_the_tails_are_asked_where_students_t_would_ring() -> None:
    d = generator(1).exponential(1.0, 48) - 2.2  # a long tail of families that rose
    found = fall(d, 0.0, LEVEL, generator())
    assert found.method == "t and tails"
    assert found.p >= float(ttest_1samp(d, 0, alternative="less").pvalue)


def test_a_large_fall_rings_however_many_checks_there_are() -> None:
    d = generator(2).laplace(-1.5, 0.5, 48)
    for checks in (20, 100, 400):
        level = Bounds(checks=checks, signals=4).level
        assert fall(d, 0.0, level, generator()).p <= level, checks


def test_resamples_are_drawn_in_pieces_of_bounded_memory() -> None:
    import tracemalloc

    d = generator(2).laplace(-1.5, 0.5, 48)
    tracemalloc.start()
    fall(d, 0.0, Bounds(checks=100, signals=4).level, generator())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_se_is_stratified_and_degrees_of_freedom_are_welchs() -> None:
    own = generator(4)
    parts = {"hi": own.normal(0, 1, 24), "en": own.normal(3, 0.2, 12), "kn": own.normal(-2, 2, 12)}
    d = np.concatenate(list(parts.values()))
    names = [name for name, part in parts.items() for _ in part]
    found = fall(d, 0.0, 0.0, generator(), names)
    v = {k: (len(p) / 48) ** 2 * p.var(ddof=1) / len(p) for k, p in parts.items()}
    assert found.se == pytest.approx(sum(v.values()) ** 0.5)
    assert found.df == pytest.approx(
        sum(v.values()) ** 2 / sum(v[k] ** 2 / (len(p) - 1) for k, p in parts.items())
    )
    assert found.drift == pytest.approx(d.mean())


@pytest.mark.parametrize("n", [2, 3])
def test_a_language_that_collapses_alone_is_found(n: int) -> None:
    names = ["hi", "en", "kn"][:n] * (48 // n)
    d = generator(5).normal(0, 0.05, 48)
    d[np.array(names) == "hi"] -= 0.09 * n  # the mean over all is within the tolerance
    found = fall(d, 0.1, LEVEL, generator(), names)
    assert found.p <= LEVEL and found.where == "hi"
    mixed = ttest_1samp(d, -0.1, alternative="less").pvalue
    assert mixed > LEVEL


def test_a_languages_own_collapse_does_not_widen_the_se_that_it_is_tested_with() -> None:
    names = ["hi", "en", "kn"] * 16
    d = generator(5).normal(0, 0.1, 48)
    d[np.array(names) == "hi"] -= 0.6
    found = fall(d, 0.1, LEVEL, generator(), names)
    assert found.p <= LEVEL and found.t < -5
    assert ttest_1samp(d, -0.1, alternative="less").pvalue > LEVEL


@pytest.mark.parametrize("n", [2, 3])
def test_the_tests_of_single_languages_keep_the_level(n: int) -> None:
    level, runs = 0.05, 600
    names = ["hi", "en", "kn"][:n] * (48 // n)
    draw = generator(6).standard_normal((runs, 48)) * ([1.0, 3.0, 0.3][:n] * (48 // n))
    rang = np.mean([fall(d, 0.0, level, generator(7), names).p <= level for d in draw])
    assert rang <= level + 2 * (level / runs) ** 0.5


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
    ("name", "most"), [("gaussian", 1.3), ("laplace", 1.2), ("t3", 1.2), ("rising", 2.5)]
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


def test_the_bootstrap_is_reproducible_counts_what_was_seen_and_stays_in_its_language() -> None:
    d = generator(9).laplace(-0.5, 1, 48)
    first, second = (tail([d], -3.5, 47, LEVEL, generator(7)) for _ in range(2))
    assert first == second > 1 / (20 / LEVEL + 1)
    far = [np.full(24, 9.0) + d[:24] / 100, d[24:] / 100]  # apart by 9, narrow within
    assert tail(far, -40.0, 46, LEVEL, generator(7)) <= LEVEL


def test_halls_transformation_never_turns_back() -> None:
    t = np.linspace(-40, 10, 2001)
    for lean in (-0.4, 0.0, 0.3):
        assert (np.diff(hall(t, np.float64(lean))) >= -1e-9).all()
    assert hall(t, np.float64(0)) == pytest.approx(t)


@given(st.integers(0, 10**6))
def test_the_lower_end_is_that_of_scipy(seed: int) -> None:
    d = generator(seed).normal(0.3, 1, 48)
    low = ttest_1samp(d, 0, alternative="greater").confidence_interval(0.95).low
    assert lower_end(d) == pytest.approx(float(low), rel=1e-8)
