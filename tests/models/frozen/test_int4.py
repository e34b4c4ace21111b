"""int4 codes: packing of all bytes, the grid against plain loops, ragged columns."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from seemant.models.frozen import int4
from seemant.models.frozen.int4 import Int4Matrix, pack, quantised, unpack

weights = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70),
    elements=st.floats(-8, 8, width=32).filter(lambda x: x == 0 or abs(x) > 1e-20),
)


def test_every_byte_survives_unpacking_and_packing() -> None:
    every = torch.arange(256).to(torch.uint8).view(torch.int8).view(4, 64)
    codes = unpack(every, torch.empty(4, 128, dtype=torch.int8))
    assert torch.equal(pack(codes), every)
    assert int(codes.min()) == -8 and int(codes.max()) == 7
    pairs = {
        (int(a), int(b))
        for a, b in zip(*codes.chunk(2, 1), strict=True)
        for a, b in zip(a, b, strict=True)
    }
    assert len(pairs) == 256  # no two bytes mean the same


def test_every_pair_of_codes_survives_packing_and_unpacking() -> None:
    low, high = torch.meshgrid(torch.arange(-8, 8), torch.arange(-8, 8), indexing="ij")
    codes = torch.cat([low, high], 1).to(torch.int8)
    assert torch.equal(unpack(pack(codes), torch.empty_like(codes)), codes)


def naive(matrix: Int4Matrix) -> torch.Tensor:
    """Every weight from its byte, one at a time, in float64."""
    n_rows, n_columns = matrix.shape
    half = matrix.codes.shape[1]
    out = torch.zeros(n_rows, n_columns, dtype=torch.float64)
    for i in range(n_rows):
        for j in range(n_columns):
            byte = int(matrix.codes[i, j % half]) & 255
            code = (byte & 15) - 8 if j < half else (byte >> 4) - 16 * (byte >= 128)
            group = int(matrix.multiplier[i, j // 32])
            out[i, j] = float(matrix.scale[i]) * group * code
    return out


@pytest.mark.parametrize("shape", [(3, 64), (2, 100), (4, 31), (2, 1)])
def test_dequantised_weights_equal_a_plain_loop(shape: tuple[int, int]) -> None:
    matrix = Int4Matrix(shape, [torch.randn(shape)])
    expected = naive(matrix)
    assert torch.equal(matrix.dequantised(torch.float64), expected)
    torch.testing.assert_close(
        matrix.dequantised(torch.float32).double(), expected, rtol=1e-7, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_blocks_of_rows_do_not_show(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = Int4Matrix((37, 96), [torch.randn(37, 96)])
    whole = matrix.dequantised(dtype)
    for block in (1, 96 * 5, 96 * 36, 96 * 37):
        monkeypatch.setattr(int4, "_BLOCK", block)
        assert torch.equal(matrix.dequantised(dtype), whole)


@given(weights)
@settings(max_examples=40, deadline=None)
def test_a_weight_inside_the_range_is_at_most_half_a_step_away(w: np.ndarray) -> None:
    matrix = Int4Matrix(w.shape, [torch.from_numpy(w)])
    true = torch.from_numpy(w).double()
    step = matrix.scale.double().unsqueeze(1) * matrix.multiplier.double()
    step = step.repeat_interleave(32, 1)[:, : w.shape[1]]
    error = (matrix.dequantised(torch.float64) - true).abs()
    inside = torch.where(step != 0, true / step, 0).clamp(-8, 7) * step  # -8..7 steps are all
    cut = (true - inside).abs()
    assert (error <= step.abs() / 2 * (1 + 1e-4) + cut).all()
    # At most 8.6 steps are asked for where 7 are; a multiplier's rounding moves them by 4.3 s.
    assert (cut <= 1.61 * step.abs() + 4.4 * matrix.scale.double().unsqueeze(1)).all()


def test_the_error_on_gaussian_weights_is_below_that_of_plain_float_scales() -> None:
    w = torch.randn(200, 1152, generator=torch.Generator().manual_seed(1))
    error = Int4Matrix((200, 1152), [w]).dequantised(torch.float32) - w
    groups = w.view(200, 36, 32)
    d = groups.gather(-1, groups.abs().argmax(-1, keepdim=True)) / -8
    plain = (groups / d).round().clamp(-8, 7) * d - groups
    assert error.norm() < 0.98 * plain.norm()


def test_the_scale_of_a_group_is_the_best_of_the_four_tried() -> None:
    groups = torch.randn(3, 5, 32)
    chosen = int4._asked(groups)
    for i in range(3):
        for g in range(5):
            w = groups[i, g].double()
            furthest = w[w.abs().argmax()]
            errors = {}
            for divisor in int4._DIVISORS:
                d = float(furthest) / divisor
                errors[d] = sum(
                    (d * min(7, max(-8, round(float(x) / d))) - float(x)) ** 2 for x in w
                )
            assert float(chosen[i, g]) == pytest.approx(
                min(errors, key=errors.__getitem__), rel=1e-6
            )


def test_a_quiet_group_beside_a_loud_one_is_not_lost() -> None:
    w = torch.full((1, 64), 0.09)
    w[0, 0] = 100.0
    got = Int4Matrix((1, 64), [w]).dequantised(torch.float32)
    assert float(got[0, 0]) == pytest.approx(100, rel=0.01)
    # Its multiplier would round to 0; the smallest step there is, 100 / 8 / 127, keeps it alive.
    torch.testing.assert_close(got[0, 32:], torch.full((32,), 100 / 8 / 127), rtol=0.01, atol=0)


def test_rows_and_groups_of_zeros_stay_zeros() -> None:
    w = torch.zeros(3, 96)
    w[1, 32:64] = torch.randn(32)
    _, multiplier, scale = quantised(w)
    assert torch.isfinite(scale.float()).all() and int(multiplier[1, 1]) != 0
    got = Int4Matrix((3, 96), [w]).dequantised(torch.float32)
    assert got[0].eq(0).all() and got[1, :32].eq(0).all() and got[1, 32:64].ne(0).any()


def test_threads_that_unpack_at_once_do_not_share_their_working_space() -> None:
    matrices = [Int4Matrix((400, 1152), [torch.randn(400, 1152)]) for _ in range(2)]
    expected = [each.dequantised(torch.float32) for each in matrices]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            got = list(pool.map(lambda each: each.dequantised(torch.float32), matrices))
            assert all(map(torch.equal, got, expected))
