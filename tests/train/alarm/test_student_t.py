"""Student's t without scipy, held against scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as reference

from seemant.train.alarm.student_t import t_bound, t_quantile, t_tail


@given(st.floats(-40, 40), st.floats(1, 5000))
def test_the_tail_is_that_of_scipy(t: float, df: float) -> None:
    assert t_tail(t, df) == pytest.approx(float(reference.sf(t, df)), rel=1e-9, abs=1e-280)


@given(st.floats(1e-12, 0.5), st.integers(1, 500))
def test_the_bound_is_that_of_scipy(tail: float, df: int) -> None:
    assert t_bound(tail, df) == pytest.approx(float(reference.isf(tail, df)), rel=1e-8, abs=1e-6)


@given(st.floats(0.001, 0.999), st.integers(1, 200))
def test_quantiles_are_symmetric(p: float, df: int) -> None:
    assert t_quantile(p, df) == pytest.approx(-t_quantile(1 - p, df), abs=1e-6)
    assert t_quantile(p, df) == pytest.approx(float(reference.ppf(p, df)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("tail", [0.0, 0.6, -1.0])
def test_a_tail_that_is_none_is_refused(tail: float) -> None:
    with pytest.raises(ValueError, match="tail"):
        t_bound(tail, 5)
