"""HQQ: never worse in its own norm, equal to the loop of the paper, blind to units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.formats.grids import Grid, fit, half, snap, value
from seemant.formats.hqq import BETA, GROWTH, P, fit_hqq, p_error
from tests.formats.hard import drawn

HEAVY = np.random.default_rng(0).standard_t(3, (40, 2, 64)).astype(np.float32)


@given(
    st.integers(0, 2**32).map(lambda seed: drawn(seed, 8, 2, 32)),
    st.builds(Grid, st.integers(2, 8), st.just(32), st.booleans()),
)
@settings(max_examples=40, deadline=None)
def test_no_group_is_worse_than_min_max_in_its_norm(w: np.ndarray, grid: Grid) -> None:
    assert (p_error(w, fit_hqq(w, grid, turns=5)) <= p_error(w, fit(w, grid))).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_heavy_tails_gain(symmetric: bool) -> None:
    grid = Grid(3, 64, symmetric)
    before, after = p_error(HEAVY, fit(HEAVY, grid)), p_error(HEAVY, fit_hqq(HEAVY, grid))
    assert after.sum() < 0.99 * before.sum()
    assert (after < before).mean() > 0.5


def test_one_group_equals_the_loop_of_the_paper() -> None:
    grid = Grid(3, 64, False)
    for w in HEAVY[:6, :1]:
        np.testing.assert_array_equal(fit_hqq(w[None], grid).offset[0], naive(w[0], grid))  # type: ignore[index]


def naive(w: np.ndarray, grid: Grid) -> np.ndarray:
    """Turn by turn; the errors in steps; the best offset, as fp16."""
    f = np.float32
    d, m = f(np.float16((w.max() - w.min()) / f(grid.highest))), w.min()
    inverse = f(1) / ((w.max() - w.min()) / f(grid.highest))
    best, best_error, beta = None, np.inf, BETA
    for turn in range(21):
        codes = np.clip(np.trunc((w - m) * inverse + f(0.5)), 0, grid.highest).astype(np.float32)
        fixed = half(np.asarray(m))
        fitted = d * codes + fixed
        error = (np.abs(w - fitted) ** f(P)).sum()
        if error < best_error:
            best, best_error = fixed, error
        if turn == 20:
            break
        x = (w - fitted) / d
        size = np.abs(x)
        with np.errstate(divide="ignore"):
            shrunk = np.maximum(size - size ** f(P - 1) / f(beta), 0) * np.sign(x) * d
        m = half(np.asarray((w - shrunk - d * codes).mean()))
        inverse = f(1) / d
        beta *= GROWTH
    return np.asarray(best).reshape(1, 1)


def test_the_unit_changes_no_code() -> None:
    for symmetric in (True, False):
        grid = Grid(4, 64, symmetric)
        small, large = fit_hqq(HEAVY, grid), fit_hqq(HEAVY * 8, grid)
        np.testing.assert_array_equal(snap(HEAVY, small), snap(HEAVY * 8, large))
        np.testing.assert_array_equal(
            value(snap(HEAVY, small), small) * 8, value(snap(HEAVY * 8, large), large)
        )
