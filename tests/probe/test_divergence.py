"""Divergence against a naive oracle, in closed form, and its properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seemant.probe.chunk_sums import chunk_of
from seemant.probe.divergence import TokenDivergence, joined, rows_divergence

Rows = NDArray[np.float32]
LOGITS = arrays(np.float32, (6, 5), elements=st.floats(-12, 12, width=32))
TARGETS = [0, 1, 2, 3, 4, 0]


def _rows(logits: NDArray[np.float32]) -> Rows:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return (wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))).astype(np.float32)


def _naive(log_p: Rows, log_q: Rows, targets: list[int]) -> TokenDivergence:
    """All definitions by plain loops in double precision."""
    n = len(targets)
    kld, top1, dnll, nll = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for t in range(n):
        for v in range(log_p.shape[1]):
            p, q = float(log_p[t, v]), float(log_q[t, v])
            kld[t] += math.exp(p) * (p - q)
        best_p = max(range(log_p.shape[1]), key=lambda v: float(log_p[t, v]))
        best_q = max(range(log_q.shape[1]), key=lambda v: float(log_q[t, v]))
        top1[t] = float(best_p == best_q)
        nll[t] = -float(log_p[t, targets[t]])
        dnll[t] = -float(log_q[t, targets[t]]) - nll[t]
    return TokenDivergence(kld, top1, dnll, nll)


@given(LOGITS, LOGITS)
def test_divergence_equals_the_naive_loops(a: Rows, b: Rows) -> None:
    p, q = _rows(a), _rows(b)
    found, expected = rows_divergence(p, q, TARGETS), _naive(p, q, TARGETS)
    np.testing.assert_allclose(found.kld, expected.kld, atol=3e-5)
    np.testing.assert_array_equal(found.top1, expected.top1)
    np.testing.assert_allclose(found.dnll, expected.dnll, atol=1e-9)
    np.testing.assert_allclose(found.nll_ref, expected.nll_ref, atol=1e-9)


def test_three_tokens_in_closed_form() -> None:
    p = np.log(np.array([[0.5, 0.25, 0.25]])).astype(np.float32)
    q = np.log(np.array([[0.25, 0.5, 0.25]])).astype(np.float32)
    found = rows_divergence(p, q, [0])
    assert found.kld[0] == pytest.approx(0.25 * math.log(2), abs=1e-6)  # .5 ln 2 - .25 ln 2
    assert found.dnll[0] == pytest.approx(math.log(2), abs=1e-6)
    assert found.nll_ref[0] == pytest.approx(math.log(2), abs=1e-6)
    assert found.top1[0] == 0.0


@given(LOGITS, LOGITS)
def test_divergence_is_never_negative(a: Rows, b: Rows) -> None:
    assert (rows_divergence(_rows(a), _rows(b), TARGETS).kld >= 0).all()


@given(LOGITS)
def test_a_model_does_not_diverge_from_itself(a: Rows) -> None:
    found = rows_divergence(_rows(a), _rows(a), TARGETS)
    assert (found.kld == 0).all()
    assert (found.dnll == 0).all()
    assert (found.top1 == 1).all()


@given(LOGITS, st.floats(-2e-6, 2e-6))
def test_almost_equal_rows_are_not_negative_for_want_of_normalisation(
    a: Rows, error: float
) -> None:
    p = _rows(a)
    q = (p + np.float32(error)).astype(np.float32)
    assert rows_divergence(p, q, TARGETS).kld.max() < 3e-7  # uncorrected: up to 2e-6


@given(LOGITS, LOGITS, st.integers(1, 5))
def test_sums_add_up_over_chunks(a: Rows, b: Rows, cut: int) -> None:
    p, q = _rows(a), _rows(b)
    whole = rows_divergence(p, q, TARGETS)
    first = rows_divergence(p[:cut], q[:cut], TARGETS[:cut])
    second = rows_divergence(p[cut:], q[cut:], TARGETS[cut:])
    facts = {"lang": "hi", "paragraph_id": "x", "route": "weights", "engine": "torch", "n_bytes": 1}
    one = chunk_of(whole, **facts)  # type: ignore[arg-type]
    x, y = chunk_of(first, **facts), chunk_of(second, **facts)  # type: ignore[arg-type]
    for name in ("n", "kld_sum", "top1_sum", "dnll_sum", "nll_ref_sum"):
        assert getattr(x, name) + getattr(y, name) == pytest.approx(getattr(one, name), abs=1e-9)
    assert max(x.kld_max, y.kld_max) == one.kld_max
    np.testing.assert_array_equal(joined([first, second]).kld, whole.kld)
