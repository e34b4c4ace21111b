"""The search: never worse than min-max, near the exhaustive optimum, blind to units."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.formats.grid_search import error_of, fit_mse
from seemant.formats.grids import Grid, Params, fit, half, snap, value
from tests.formats.hard import drawn

weights = st.integers(0, 2**32).map(lambda seed: drawn(seed, 8, 2, 32))
counts = st.integers(0, 2**32).map(lambda seed: np.abs(drawn(seed, 1, 2, 32)))
grids = st.builds(Grid, st.integers(2, 8), st.just(32), st.booleans())
GAUSS = np.random.default_rng(0).standard_normal((64, 4, 32)).astype(np.float32)


@given(weights, counts, grids)
@settings(max_examples=50, deadline=None)
def test_no_group_is_worse_than_min_max_under_its_weights(
    w: np.ndarray, omega: np.ndarray, grid: Grid
) -> None:
    for counted in (None, omega):
        plain, best = fit(w, grid), fit_mse(w, grid, counted)
        assert (exact(w, best, counted) <= exact(w, plain, counted) * (1 + 1e-5) + 1e-30).all()
        np.testing.assert_array_equal(half(best.scale), best.scale)


def exact(w: np.ndarray, params, omega) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The weighted squared error in float64."""
    off = value(snap(w, params), params).astype(np.float64) - w
    return (off * off * (1.0 if omega is None else omega)).sum(-1)


@given(weights, grids, st.integers(-3, 3))
@settings(max_examples=50, deadline=None)
def test_the_unit_of_the_weights_changes_no_code(w: np.ndarray, grid: Grid, power: int) -> None:
    scaled = np.ldexp(w, power).astype(np.float32)
    ours, theirs = fit_mse(w, grid, steps=6), fit_mse(scaled, grid, steps=6)
    normal = (np.abs(ours.scale) > 2.0**-10)[..., 0]  # stays a normal fp16 number
    np.testing.assert_array_equal(snap(w, ours)[normal], snap(scaled, theirs)[normal])


@given(weights, grids)
@settings(max_examples=50, deadline=None)
def test_snapping_is_idempotent(w: np.ndarray, grid: Grid) -> None:
    params = fit_mse(w, grid, steps=6)
    params = Params.rounded(grid, params.scale, params.offset)
    once = value(snap(w, params), params)
    np.testing.assert_array_equal(value(snap(once, params), params), once)


@pytest.mark.parametrize("symmetric", [True, False])
def test_it_comes_near_the_best_of_all_codes(symmetric: bool) -> None:
    rng = np.random.default_rng(1)
    grid = Grid(2, 5, symmetric)
    w = rng.standard_normal((40, 1, 5)).astype(np.float32)
    omega = rng.gamma(0.5, 1, (40, 1, 5)).astype(np.float32)
    plain = exact(w, fit(w, grid), omega)[:, 0]
    found = exact(w, fit_mse(w, grid, omega), omega)[:, 0]
    best = np.array([exhaustive(w[i, 0], omega[i, 0], grid) for i in range(40)])
    assert (found >= best * 0.99 - 1e-6).all()  # fp16 scales: rarely a hair better
    assert (found - best).sum() < 0.25 * (plain - best).sum()


def exhaustive(w: np.ndarray, omega: np.ndarray, grid: Grid) -> float:
    """The least squared error over every code vector, each with its least squares grid."""
    best = np.inf
    root = np.sqrt(omega.astype(np.float64))
    for q in product(range(grid.lowest, grid.highest + 1), repeat=len(w)):
        columns = [q] if grid.symmetric else [q, np.ones(len(w))]
        design = np.stack(columns, 1) * root[:, None]
        solution = np.linalg.lstsq(design, w * root, rcond=None)[0]
        best = min(best, float(((w * root - design @ solution) ** 2).sum()))
    return best


@pytest.mark.parametrize(
    ("grid", "at_most"),
    [
        (Grid(4, 32, True), 0.9),
        (Grid(4, 32, False), 0.8),
        (Grid(3, 32, True), 0.88),
        (Grid(8, 32, True), 0.9),
    ],
)
def test_gaussian_weights_gain_what_they_should(grid: Grid, at_most: float) -> None:
    ratio = error_of(GAUSS, fit_mse(GAUSS, grid), None).sum()
    assert ratio / error_of(GAUSS, fit(GAUSS, grid), None).sum() < at_most


def test_weights_steer_the_search() -> None:
    grid = Grid(3, 32, False)
    omega = np.ones((1, 4, 32), np.float32)
    omega[..., :4] = 100
    steered, even = fit_mse(GAUSS, grid, omega), fit_mse(GAUSS, grid)
    assert error_of(GAUSS, steered, omega).sum() < 0.7 * error_of(GAUSS, even, omega).sum()
    row_by_row = fit_mse(GAUSS, grid, np.repeat(omega, len(GAUSS), 0))
    np.testing.assert_array_equal(row_by_row.scale, steered.scale)


def test_slices_do_not_show() -> None:
    wide = np.random.default_rng(2).standard_normal((7, 1, 20_000)).astype(np.float32)
    grid = Grid(4, 20_000, False)
    together = fit_mse(wide, grid, steps=5)
    alone = [fit_mse(wide[i : i + 1], grid, steps=5).scale for i in range(7)]
    np.testing.assert_allclose(together.scale, np.concatenate(alone), rtol=2e-3)


def test_groups_of_one_value_and_dead_groups_are_kept() -> None:
    flat = np.concatenate([np.full((1, 1, 32), 0.7), np.zeros((1, 1, 32))]).astype(np.float32)
    for symmetric in (True, False):
        grid = Grid(4, 32, symmetric)
        params = fit_mse(flat, grid, np.zeros((1, 1, 32), np.float32))
        np.testing.assert_array_equal(params.scale, fit(flat, grid).scale)
        got = value(snap(flat, fit_mse(flat, grid)), fit_mse(flat, grid))
        np.testing.assert_allclose(got, flat, rtol=2e-3)
