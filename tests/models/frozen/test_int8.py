"""int8 codes: half a step, exact scales, against plain loops."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from seemant.models.frozen.int8 import Int8Matrix, quantised

weights = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
    elements=st.floats(-8, 8, width=32),
)


@given(weights)
@settings(max_examples=60, deadline=None)
def test_the_error_is_at_most_half_a_step(w: np.ndarray) -> None:
    codes, scale = quantised(torch.from_numpy(w))
    error = (codes.double() * scale.double().unsqueeze(1) - torch.from_numpy(w).double()).abs()
    # w / s is taken in float32; a row below 1e-38 may have no scale left.
    assert (error <= scale.double().unsqueeze(1) * 0.5 * (1 + 1e-4) + 1e-38).all()


@given(weights)
@settings(max_examples=60, deadline=None)
def test_the_scale_is_the_smallest_that_cuts_nothing_up_to_rounding(w: np.ndarray) -> None:
    codes, scale = quantised(torch.from_numpy(w))
    highest = torch.from_numpy(np.abs(w).max(1)).double()
    normal = highest > 1e-30  # below, bfloat16 has fewer bits
    assert (scale.double() * 127 >= highest * (1 - 1e-6))[normal].all()
    assert (scale.double() * 127 <= highest * 1.012)[normal].all()
    assert int(codes.abs().max()) <= 127


def test_codes_equal_a_plain_loop() -> None:
    w = torch.randn(6, 50)
    matrix = Int8Matrix((6, 50), [w])
    got = matrix.dequantised(torch.float64)
    for i in range(6):
        s = float(matrix.scale[i])
        for j in range(50):
            q = min(127, max(-127, round(float(w[i, j]) / s)))
            assert abs(float(got[i, j]) - s * q) < 1e-12


def test_rows_of_zeros_stay_zeros() -> None:
    w = torch.zeros(3, 64)
    w[1] = torch.randn(64)
    got = Int8Matrix((3, 64), [w]).dequantised(torch.float32)
    assert got[0].eq(0).all() and got[2].eq(0).all() and got[1].ne(0).any()


def test_bfloat16_weights_are_the_exact_products_rounded_once() -> None:
    matrix = Int8Matrix((20, 64), [torch.randn(20, 64)])
    exact = matrix.dequantised(torch.float64)
    assert torch.equal(matrix.dequantised(torch.bfloat16), exact.to(torch.bfloat16))
