"""Explanatory columns against their definitions, written out plainly in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seemant.compress.attribution import columns


def drawn(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def naive_cka(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC of centred Gram matrices: the definition by examples, n x n."""
    n = len(x)
    h = np.eye(n) - 1 / n
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


@given(st.integers(2, 12), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_cka_is_the_gram_matrices_s(n: int, a: int, b: int, seed: int) -> None:
    x, y = drawn(n, a, seed=seed), drawn(n, b, seed=seed + 1)
    assert columns.linear_cka(x, y) == pytest.approx(
        naive_cka(x.double().numpy(), y.double().numpy()), abs=1e-9
    )


def test_cka_sees_neither_rotation_nor_scale_nor_shift() -> None:
    x = drawn(40, 8)
    q, _ = torch.linalg.qr(drawn(8, 8, seed=1).double())
    assert columns.linear_cka(x, 3 * x.double() @ q + 5) == pytest.approx(1, abs=1e-9)
    assert columns.linear_cka(x, drawn(40, 8, seed=2)) < 0.5


def test_the_weighted_error_is_the_hessian_s() -> None:
    w, e, x = drawn(5, 7), drawn(5, 7, seed=1), drawn(30, 7, seed=2)
    h = (x.T @ x).double()
    plain = torch.trace(e.double() @ h @ e.double().T) / torch.trace(
        w.double() @ h @ w.double().T)  # fmt: skip
    assert columns.weighted_error(w, e, x) == pytest.approx(float(plain), rel=1e-5)
    assert columns.relative_error(w, e) == pytest.approx(
        float(np.linalg.norm(e) / np.linalg.norm(w)), rel=1e-6
    )


def test_a_massive_channel_shows_in_every_column() -> None:
    even, massive = torch.sign(drawn(50, 64)), drawn(50, 64)
    massive[:, 9] = 1000.0
    assert columns.kurtosis(even) == pytest.approx(1) and columns.kurtosis(massive) > 60
    assert columns.max_over_rms(even) == pytest.approx(1)
    assert columns.max_over_rms(massive) == pytest.approx(8, rel=0.01)
    assert columns.top_share(even) == pytest.approx(8 / 64)
    assert columns.top_share(massive) > 0.999
    assert columns.effective_rank(massive) < 1.01


@pytest.mark.parametrize("n", [200, 20])
def test_the_effective_rank_counts_equal_directions(n: int) -> None:
    basis, _ = torch.linalg.qr(drawn(n, 5).double())
    x = basis @ torch.linalg.qr(drawn(32, 5, seed=1).double())[0].T
    assert columns.effective_rank(x) == pytest.approx(5, rel=1e-6)


def test_languages_are_alike_by_covariance_not_by_token() -> None:
    mix = drawn(12, 12)
    x, y = drawn(4000, 12, seed=1) @ mix, drawn(3000, 12, seed=2) @ mix
    other = drawn(3000, 12, seed=2) @ drawn(12, 12, seed=3)
    assert columns.covariance_similarity(x, y) > 0.97
    assert columns.covariance_similarity(x, other) < 0.9
    assert columns.covariance_similarity(x, 7 * x + 1) == pytest.approx(1, abs=1e-6)
