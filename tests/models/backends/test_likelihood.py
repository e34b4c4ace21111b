"""Log-probabilities from logits, against float64."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import log_softmax as reference

from seemant.models.backends.likelihood import log_softmax, token_nats

rows = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(2, 400)),
    elements=st.floats(-60, 60, width=32),
)


@given(rows)
def test_log_softmax_is_the_float64_one(logits: NDArray[np.float32]) -> None:
    before = logits.copy()
    got = log_softmax(logits)
    np.testing.assert_allclose(got, reference(logits.astype(np.float64), axis=1), atol=1e-5)
    assert got.dtype == np.float32
    assert (logits == before).all()


@given(rows, st.data())
def test_token_nats_sums_one_target_a_row(logits: NDArray[np.float32], data: st.DataObject) -> None:
    n_rows, width = logits.shape
    targets = data.draw(st.lists(st.integers(0, width - 1), min_size=n_rows, max_size=n_rows))
    expected = reference(logits.astype(np.float64), axis=1)[range(n_rows), targets].sum()
    np.testing.assert_allclose(token_nats(logits, targets), expected, atol=1e-4)


def test_a_vocabulary_of_gemmas_size_loses_nothing() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 262_144)).astype(np.float32) * 4
    np.testing.assert_allclose(
        log_softmax(logits), reference(logits.astype(np.float64), axis=1), atol=1e-5
    )
