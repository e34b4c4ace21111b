import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seemant.stats.quantile import quantile


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_it_agrees_with_numpy(values: list[float], share: float) -> None:
    np.testing.assert_allclose(quantile(values, share), np.quantile(values, share), atol=1e-6)
