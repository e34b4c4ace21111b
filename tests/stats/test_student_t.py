"""Student's t without scipy, held against scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit
from scipy.stats import t as reference

from seemant.stats.student_t import LEVEL, t_bound, t_tail


@given(st.floats(-40, 40), st.floats(1, 5000))
def test_the_tail_is_that_of_scipy(t: float, df: float) -> None:
    assert t_tail(t, df) == pytest.approx(float(reference.sf(t, df)), rel=1e-9, abs=1e-280)


@given(st.floats(1e-12, 0.5), st.integers(1, 500))
def test_the_bound_is_that_of_scipy(tail: float, df: int) -> None:
    assert t_bound(tail, df) == pytest.approx(float(reference.isf(tail, df)), rel=1e-8, abs=1e-6)


@pytest.mark.parametrize("df", [*range(1, 120), 500, 2_000, 10_000, 100_000])
def test_intervals_are_as_wide_as_with_scipy(df: int) -> None:
    assert t_bound(LEVEL, df) == pytest.approx(float(stdtrit(df, 0.975)), rel=1e-12)


@pytest.mark.parametrize("tail", [0.0, 0.6, -1.0])
def test_a_tail_that_is_none_is_refused(tail: float) -> None:
    with pytest.raises(ValueError, match="tail"):
        t_bound(tail, 5)
