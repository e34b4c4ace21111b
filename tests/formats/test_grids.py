"""The grids: bounds, invariances and the naive loop as oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seemant.core.errors import BadConfig, BadFile
from seemant.formats.grids import Grid, Params, Weights, fit, grouped, snap, value

weights = arrays(np.float32, (3, 64), elements=st.floats(-8, 8, width=32)).map(
    lambda w: np.where(np.abs(w) < 1e-3, np.float32(0), w)  # scales stay normal fp16 numbers
)
grids = st.builds(
    Grid,
    bits=st.integers(2, 8),
    group=st.sampled_from([8, 32, 64, None]),
    symmetric=st.booleans(),
)


@given(weights, grids)
@settings(max_examples=120, deadline=None)
def test_error_is_at_most_half_a_step_and_the_rounding_of_the_scales(
    w: np.ndarray, grid: Grid
) -> None:
    g = grouped(w, grid.group)
    params = fit(g, grid)
    codes = snap(g, params)
    inside = (codes > grid.lowest) & (codes < grid.highest)
    error = np.abs(g.astype(np.float64) - value(codes, params))
    step = np.abs(params.scale.astype(np.float64))
    slack = np.abs(codes) * step * 2**-10  # fp16 of d
    if params.offset is not None:
        slack = slack + np.abs(params.offset) * 2.0**-10  # fp16 of m
    assert (error <= step * 0.501 + slack + 1e-6)[inside].all()
    # the top code of a symmetric grid clips: the largest |w| owns the other end
    assert (error <= step * 1.001 + slack + 1e-6).all()


@given(weights, grids)
@settings(max_examples=120, deadline=None)
def test_snapping_to_rounded_parameters_is_idempotent(w: np.ndarray, grid: Grid) -> None:
    g = grouped(w, grid.group)
    params = fit(g, grid)
    params = Params.rounded(grid, params.scale, params.offset)
    once = value(snap(g, params), params)
    np.testing.assert_array_equal(value(snap(once, params), params), once)


@given(weights, grids, st.integers(-6, 6))
@settings(max_examples=80, deadline=None)
def test_scaling_by_a_power_of_two_leaves_the_codes(w: np.ndarray, grid: Grid, power: int) -> None:
    g = grouped(w, grid.group)
    scaled = np.ldexp(g, power).astype(np.float32)
    np.testing.assert_array_equal(snap(g, fit(g, grid)), snap(scaled, fit(scaled, grid)))


@given(weights, st.integers(2, 7))
@settings(max_examples=60, deadline=None)
def test_the_largest_weight_lands_on_the_lowest_code(w: np.ndarray, bits: int) -> None:
    g = grouped(w, 32)
    codes = snap(g, fit(g, Grid(bits, 32, True)))
    at = np.abs(g).argmax(-1)[..., None]
    largest = np.take_along_axis(np.abs(g), at, -1)
    landed = np.take_along_axis(codes, at, -1)
    assert (landed[largest > 0] == -(2 ** (bits - 1))).all()


@given(weights, st.sampled_from([True, False]), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_codes_and_values_equal_the_plain_loop(w: np.ndarray, symmetric: bool, bits: int) -> None:
    grid = Grid(bits, 32, symmetric)
    g = grouped(w, 32)
    params = fit(g, grid)
    codes = snap(g, params)
    got = value(codes, params)
    for row, group in np.ndindex(g.shape[:2]):
        naive_codes, naive_values = naive(g[row, group], grid)
        np.testing.assert_array_equal(codes[row, group], naive_codes)
        np.testing.assert_array_equal(got[row, group], naive_values)


def naive(w: np.ndarray, grid: Grid) -> tuple[list[int], list[np.float32]]:
    """The definition, weight by weight, in fp32."""
    f = np.float32
    largest = max(w, key=abs)
    if not grid.symmetric:
        start, d = min(w), (max(w) - min(w)) / f(2**grid.bits - 1)
    elif grid.bits == 8:
        start, d = f(0), abs(largest) / f(127)
    else:
        start, d = f(0), largest / f(-(2 ** (grid.bits - 1)))
    inverse = f(1) / d if d else f(0)
    codes = []
    for x in w:
        q = (x - start) * inverse
        if grid.symmetric and grid.bits == 8:
            code = int(abs(float(q)) + 0.5) * (1 if q > 0 else -1)
        elif grid.symmetric:
            code = int(q + f(2 ** (grid.bits - 1) + 0.5)) - 2 ** (grid.bits - 1)
        else:
            code = int(q + f(0.5))
        codes.append(max(grid.lowest, min(grid.highest, code)))
    d16, m16 = f(np.float16(d)), f(np.float16(start))
    return codes, [
        f(d16 * f(code)) + m16 if not grid.symmetric else d16 * f(code) for code in codes
    ]


@given(weights)
@settings(max_examples=40, deadline=None)
def test_more_bits_never_cost_much_more_error(w: np.ndarray) -> None:
    g = grouped(w, 32)

    def worst(bits: int) -> float:
        params = fit(g, Grid(bits, 32, False))
        return float(np.abs(g - value(snap(g, params), params)).max())

    assert worst(8) <= worst(4) + 8 * 2**-10
    assert worst(4) <= worst(2) + 8 * 2**-10


def test_per_channel_is_one_scale_a_row() -> None:
    w = np.random.default_rng(0).standard_normal((5, 96)).astype(np.float32)
    assert fit(grouped(w, None), Grid(4, None, True)).scale.shape == (5, 1, 1)
    assert fit(grouped(w, 32), Grid(4, 32, True)).scale.shape == (5, 3, 1)


def test_an_empty_group_of_zeros_stays_zero() -> None:
    zeros: Weights = np.zeros((1, 1, 32), np.float32)
    for symmetric in (True, False):
        params = fit(zeros, Grid(4, 32, symmetric))
        assert (value(snap(zeros, params), params) == 0).all()


def test_a_group_that_does_not_divide_the_row_is_named_with_what_fits() -> None:
    with pytest.raises(BadConfig, match="group 48 does not divide a row of 640") as caught:
        grouped(np.zeros((2, 640), np.float32), 48, name="blk.0.attn_q.weight")
    assert "blk.0.attn_q.weight" in str(caught.value)
    assert "32, 64, 128, 160" in str(caught.value)


def test_weights_too_large_for_fp16_scales_are_refused() -> None:
    with pytest.raises(BadFile, match="too large for fp16"):
        fit(np.full((1, 1, 32), 1e7, np.float32), Grid(4, 32, True))
