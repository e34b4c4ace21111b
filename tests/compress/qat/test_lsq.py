"""The forward is the packer's own rounding; the gradients are those of the smoothed rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seemant.compress.qat.lsq import gradients_, half, nearest, step_factor, value
from seemant.formats import grids
from seemant.formats.grids import Grid, Params

GRIDS = [Grid(b, 32, s) for b in (2, 3, 4, 5, 8) for s in (True, False)]
FLOATS = st.floats(-4, 4, width=32)


@settings(max_examples=40)
@given(arrays(np.float32, (3, 2, 32), elements=FLOATS), st.sampled_from(GRIDS))
def test_codes_and_values_are_those_of_the_packer_bit_for_bit(w: np.ndarray, grid: Grid) -> None:
    fitted = grids.fit(w, grid)
    params = Params.rounded(grid, fitted.scale, fitted.offset)
    d = torch.from_numpy(params.scale)
    m = None if params.offset is None else torch.from_numpy(params.offset)
    q = nearest(torch.from_numpy(w), d, m, grid)
    codes = grids.snap(w, params)
    np.testing.assert_array_equal(q.numpy(), codes)
    np.testing.assert_array_equal(value(q, d, m).numpy(), grids.value(codes, params))


def test_a_number_is_rounded_to_half_precision_as_numpy_does_it() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * 1e-4
    np.testing.assert_array_equal(half(torch.from_numpy(x)).numpy(), x.astype(np.float16))


@pytest.mark.parametrize("grid", [Grid(4, 32, True), Grid(4, 32, False), Grid(3, 32, True)])
def test_gradients_equal_finite_differences_with_the_rounding_error_held(grid: Grid) -> None:
    rng = torch.Generator().manual_seed(3)
    w = torch.randn(4, 2, 32, generator=rng, dtype=torch.float64)
    d = torch.rand(4, 2, 1, generator=rng, dtype=torch.float64) * 0.1 + 0.15
    m = None if grid.symmetric else -torch.ones(4, 2, 1, dtype=torch.float64)
    up = torch.randn(4, 2, 32, generator=rng, dtype=torch.float64)
    clipped = _clipped(w, d, m, grid)
    error = nearest(w, d, m, grid) - clipped  # held: what the straight-through estimate does
    assert 0.05 < float((clipped == _x(w, d, m)).double().mean()) < 0.999  # both cases are there

    def loss(w: torch.Tensor, d: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
        return up * (d * (_clipped(w, d, m, grid) + error) + (0 if m is None else m))

    e = 1e-7
    of_w = (loss(w + e, d, m) - loss(w - e, d, m)) / (2 * e)
    of_d = ((loss(w, d + e, m) - loss(w, d - e, m)) / (2 * e)).sum(-1, keepdim=True)
    g = up.clone()
    found_d, found_m = gradients_(g, w, d, m, grid)
    torch.testing.assert_close(g, of_w, atol=1e-6, rtol=0)
    torch.testing.assert_close(found_d, of_d, atol=1e-5, rtol=0)
    if m is not None:
        of_m = ((loss(w, d, m + e) - loss(w, d, m - e)) / (2 * e)).sum(-1, keepdim=True)
        assert found_m is not None
        torch.testing.assert_close(found_m, of_m, atol=1e-5, rtol=0)


def test_on_average_over_weights_they_are_the_slopes_of_the_true_rounding() -> None:
    grid, n = Grid(4, 32, True), 1 << 18
    w = torch.linspace(-3, 3.5, n, dtype=torch.float64).view(1, 1, n)
    d, e = torch.full((1, 1, 1), 0.25, dtype=torch.float64), 1e-2

    def smoothed(w: torch.Tensor, d: torch.Tensor) -> float:
        return float(value(nearest(w, d, None, grid), d, None).mean())

    g = torch.full_like(w, 1 / n)
    of_d, _ = gradients_(g, w, d, None, grid)
    assert float(g.sum()) == pytest.approx(
        (smoothed(w + e, d) - smoothed(w - e, d)) / (2 * e), abs=0.02
    )
    assert float(of_d) == pytest.approx(
        (smoothed(w, d + e) - smoothed(w, d - e)) / (2 * e), abs=0.02
    )


def test_held_codes_give_the_weights_no_gradient_and_the_step_its_code() -> None:
    grid = Grid(4, 32, False)
    w = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(0))
    d, m, g = torch.full((1, 1, 1), 0.1), torch.full((1, 1, 1), -0.5), torch.ones(1, 1, 32)
    fixed, held = torch.full((1, 1, 32), 5, dtype=torch.uint8), torch.ones(1, 1, 32).bool()
    of_d, of_m = gradients_(g, w, d, m, grid, held, fixed)
    assert of_m is not None
    assert (float(g.abs().sum()), float(of_d), float(of_m)) == (0, 5 * 32, 32)


def test_the_factor_is_the_paper_s() -> None:
    assert step_factor(Grid(4, 32, True), 32) == pytest.approx((32 * 7) ** -0.5)


def _x(w: torch.Tensor, d: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
    return (w if m is None else w - m) / d


def _clipped(w: torch.Tensor, d: torch.Tensor, m: torch.Tensor | None, grid: Grid) -> torch.Tensor:
    return _x(w, d, m).clamp(grid.lowest, grid.highest)
