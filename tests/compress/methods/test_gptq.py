"""GPTQ against plain loops, brute force and its own identities."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.methods import rtn
from seemant.compress.methods.config import ORDERS, MethodConfig, Order
from seemant.compress.methods.gptq import gptq, layer_error, prepare, run
from seemant.compress.methods.gptq_factor import factor
from seemant.compress.methods.matrix import Matrix
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import (
    Format,
    FormatImpossible,
    fit_format,
    format_of,
    pack_format,
    snap_format,
    unpack_format,
    value_format,
)
from tests.compress.methods.conftest import Layer

Array = NDArray[np.float32]


def naive(
    w: Array, hessian: Tensor, format: Format, order: Order, damp: float
) -> tuple[NDArray[np.float64], float]:
    """Return values and Σ e²: OBQ's update, the inverse made anew for the columns that are left."""
    h = hessian.double().numpy()
    diagonal, n = h.diagonal().copy(), len(h)
    h = h + damp * diagonal.mean() * np.eye(n)
    width, small = format.block or n, format.grid.group or n
    if order == "natural":
        columns = list(range(n))
    elif order == "act":
        columns = sorted(range(n), key=lambda j: -diagonal[j])
    else:
        groups = sorted(range(n // width), key=lambda g: -diagonal[g * width :][:width].max())
        columns = [
            j
            for g in groups
            for j in sorted(range(g * width, (g + 1) * width), key=lambda j: -diagonal[j])
        ]
    now, values, squares = w.astype(np.float64), np.zeros(w.shape), 0.0
    scale, offset = np.zeros(w.shape), np.zeros(w.shape)

    def refit(first: int, stop: int) -> None:
        params = fit_format(np.ascontiguousarray(now[:, first:stop].astype(np.float32)), format)
        scale[:, first:stop] = np.repeat(params.scale[..., 0], small, 1)
        if params.offset is not None:
            offset[:, first:stop] = np.repeat(params.offset[..., 0], small, 1)

    if order == "act":
        refit(0, n)
    for place, j in enumerate(columns):
        if order != "act" and place % width == 0:
            first = j // width * width
            refit(first, first + width)
        left = columns[place:]
        inverse = np.linalg.inv(h[np.ix_(left, left)])
        d, m = scale[:, j], offset[:, j]
        q = np.round(np.divide(now[:, j] - m, d, out=np.zeros(len(w)), where=d != 0))
        values[:, j] = np.clip(q, format.grid.lowest, format.grid.highest) * d + m
        gap = now[:, j] - values[:, j]
        squares += float((gap**2).sum() / inverse[0, 0])
        now[:, left] -= np.outer(gap / inverse[0, 0], inverse[0])
    return values, squares


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "name", ["int3-sym-g8", "int4-asym-g8", "int2-asym-g4", "int6-asym-channel"]
)
def test_it_equals_the_plain_loop_that_inverts_anew_for_every_column(
    layer: Layer, order: Order, name: str
) -> None:
    w, hessian = layer(5, 24, seed=3)
    format = format_of(name)
    values, squares = naive(w, hessian, format, order, damp=0.01)
    prepared = prepare(hessian, format, MethodConfig(order=order))
    (codes, params), report = gptq(w, prepared, format, compute=torch.float64)
    assert np.abs(value_format(codes, params) - values).max() < 1e-7  # float32 values
    mean = float(hessian.diagonal().double().mean())
    moved = float(((values - w) ** 2).sum())
    assert report.layer_error == pytest.approx(squares - 0.01 * mean * moved, rel=1e-6)


def test_the_factor_agrees_with_inverses_made_anew_to_1e_9(layer: Layer) -> None:
    _, hessian = layer(4, 20, seed=9)
    columns = torch.arange(20)
    lower = factor(hessian, columns, 0.01).lower
    h = hessian.double().numpy() + 0.01 * float(hessian.diagonal().double().mean()) * np.eye(20)
    inverse = np.linalg.inv(h)
    for j in range(20):
        left = np.linalg.inv(h[j:, j:])
        row = lower[j:, j].numpy()
        assert np.abs(row * row[0] - left[0]).max() < 1e-9 * np.abs(left).max()
    assert np.abs((lower @ lower.T).numpy() - inverse).max() < 1e-9 * np.abs(inverse).max()


@pytest.mark.parametrize("name", ["q4_0", "q5_1", "int3-sym-g96", "int4-sym-channel"])
def test_the_block_changes_nothing(layer: Layer, name: str) -> None:
    w, hessian = layer(7, 192)
    format = format_of(name)
    prepared = prepare(hessian, format, MethodConfig())
    results = [
        gptq(w, prepared, format, block=block, compute=torch.float64) for block in (1, 32, 128, 192)
    ]
    first = value_format(*results[0][0])
    for quantised, report in results[1:]:
        assert np.abs(value_format(*quantised) - first).max() < 1e-6
        assert report.layer_error == pytest.approx(results[0][1].layer_error, rel=1e-6)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q8_0", "q4_k", "q6_k", "q3_k"])
def test_the_sum_of_squared_errors_is_the_layer_error(
    layer: Layer, order: Order, name: str
) -> None:
    w, hessian = layer(6, 256, seed=1)
    matrix = Matrix("blk.0.ffn_down.weight", w, format_of(name), hessian=hessian)
    codes, params = run(matrix, MethodConfig(order=order))
    change = torch.from_numpy(value_format(codes, params) - w)
    assert matrix.notes["layer_error"] == pytest.approx(layer_error(change, hessian), rel=2e-3)
    assert matrix.notes["layer_error"] < matrix.notes["rtn_error"]


@pytest.mark.parametrize("name", ["q4_0", "q5_1", "q4_k", "q5_k", "q6_k", "q3_k"])
def test_what_was_optimised_is_what_the_file_says(layer: Layer, name: str) -> None:
    w, hessian = layer(3, 512, seed=2)
    format = format_of(name)
    codes, params = run(Matrix("t", w, format, "mse", hessian), MethodConfig(order="groups"))
    again = unpack_format(pack_format(codes, params, format), format)
    assert np.array_equal(again[0], codes)
    assert np.array_equal(value_format(*again), value_format(codes, params))


@pytest.mark.parametrize("order", ["act", "groups"])
def test_orders_agree_when_the_inputs_are_uncorrelated(layer: Layer, order: Order) -> None:
    w, hessian = layer(5, 64)
    alone = torch.diag(hessian.diagonal())
    format = format_of("q4_1")
    natural, _ = gptq(w, prepare(alone, format, MethodConfig()), format)
    other, _ = gptq(w, prepare(alone, format, MethodConfig(order=order)), format)
    assert np.array_equal(natural.codes, other.codes)
    assert np.array_equal(natural.params.scale, other.params.scale)


def test_uncorrelated_inputs_leave_rounding_to_nearest(layer: Layer) -> None:
    w, hessian = layer(5, 64)
    format = format_of("q4_0")
    codes, params = run(
        Matrix("t", w, format, hessian=torch.diag(hessian.diagonal())), MethodConfig()
    )
    nearest = fit_format(w, format)
    assert np.array_equal(params.scale, nearest.scale)
    assert (codes != snap_format(w, nearest)).mean() < 0.01  # ties, and scales before fp16


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([0.5, 2.0, 16.0]))
def test_a_factor_on_weights_or_inputs_leaves_the_codes(seed: int, factor_: float) -> None:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((3, 32)).astype(np.float32)
    x = rng.standard_normal((64, 32)).astype(np.float32)
    hessian = torch.from_numpy(x.T @ x / 64)
    format = format_of("q4_0")
    plain = run(Matrix("t", w, format, hessian=hessian), MethodConfig())
    scaled = run(
        Matrix("t", w * np.float32(factor_), format, hessian=hessian * factor_), MethodConfig()
    )
    assert np.array_equal(plain.codes, scaled.codes)


def test_whole_groups_may_change_places(layer: Layer) -> None:
    # Groups are worked on by size, wherever they stand: moving them moves their codes along.
    w, hessian = layer(4, 96, seed=5)
    format, config = format_of("q4_0"), MethodConfig(order="groups")
    moved = np.concatenate([np.arange(64, 96), np.arange(0, 64)])
    plain = run(Matrix("t", w, format, hessian=hessian), config)
    there = run(
        Matrix("t", np.ascontiguousarray(w[:, moved]), format, hessian=hessian[moved][:, moved]),
        config,
    )
    assert np.array_equal(there.codes.reshape(4, -1), plain.codes.reshape(4, -1)[:, moved])


def test_rows_are_rounded_each_by_itself(layer: Layer) -> None:
    w, hessian = layer(9, 64)
    format = format_of("q4_1")
    prepared = prepare(hessian, format, MethodConfig())
    whole, report = gptq(w, prepared, format, compute=torch.float64)
    sliced, again = gptq(w, prepared, format, rows_at_once=4, compute=torch.float64)
    assert np.array_equal(whole.codes, sliced.codes)
    assert np.array_equal(whole.params.scale, sliced.params.scale)
    assert again.layer_error == pytest.approx(report.layer_error, rel=1e-9)


def test_it_lies_between_the_best_of_all_codes_and_rounding_to_nearest(layer: Layer) -> None:
    format, won = format_of("int2-sym-g6"), []
    grid = np.array(list(itertools.product(range(-2, 2), repeat=6)), np.float32)
    for seed in range(12):
        w, hessian = layer(16, 6, seed)
        prepared = prepare(hessian, format, MethodConfig(order="natural", damp=1e-6))
        (codes, params), report = gptq(w, prepared, format, compute=torch.float64)
        found = value_format(codes, params) - w
        for row in range(0, 16, 5):
            change = grid * params.scale[row, 0] - w[row]
            best = np.einsum("ni,ij,nj->n", change, hessian.numpy(), change).min()
            assert found[row] @ hessian.numpy() @ found[row] >= best * (1 - 1e-4)
        won.append(report.layer_error / report.rtn_error)
    assert np.mean(won) < 0.95


def test_a_dead_column_is_zero_and_counted(layer: Layer) -> None:
    w, hessian = layer(3, 32)
    hessian[5], hessian[:, 5] = 0, 0
    matrix = Matrix("t", w, format_of("q4_0"), hessian=hessian)
    codes, _ = run(matrix, MethodConfig())
    assert not codes.reshape(3, -1)[:, 5].any()
    assert matrix.notes["dead"] == 1


def test_a_matrix_whose_inputs_are_all_dead_is_rounded_to_nearest_and_counted(
    layer: Layer,
) -> None:
    w, hessian = layer(3, 64)
    matrix = Matrix("t", w, format_of("q4_0"), hessian=hessian.zero_())
    codes, params = run(matrix, MethodConfig())
    nearest, grid = rtn.run(Matrix("t", w, format_of("q4_0")), MethodConfig())
    np.testing.assert_array_equal(codes, nearest)
    np.testing.assert_array_equal(params.scale, grid.scale)
    assert matrix.notes["dead"] == 64 and matrix.notes["layer_error"] == 0


def test_damping_grows_until_the_factor_exists() -> None:
    ones = torch.ones(8, 8)  # rank one
    made = factor(ones, torch.arange(8), 0.0)
    assert made.damp == 0.01
    indefinite = torch.full((4, 4), -0.5) + 1.5 * torch.eye(4)
    assert 0.5 < factor(indefinite, torch.arange(4), 0.01).damp <= 1


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda h: h.fill_(torch.nan), "not finite"),
        (lambda h: h.fill_(1.0).fill_diagonal_(0.0), "is zero"),
        (lambda h: h.fill_(-1.0).fill_diagonal_(0.1), "positive definite"),
    ],
)
def test_a_hopeless_hessian_is_an_error_that_names_the_tensor(layer: Layer, spoil, says) -> None:  # type: ignore[no-untyped-def]
    w, hessian = layer(2, 32)
    spoil(hessian)
    with pytest.raises(BadFile, match=says) as caught:
        run(Matrix("blk.3.attn_q.weight", w, format_of("q4_0"), hessian=hessian), MethodConfig())
    assert "blk.3.attn_q.weight" in str(caught.value)


def test_bad_input_is_named(layer: Layer) -> None:
    w, hessian = layer(2, 32)
    with pytest.raises(BadConfig, match="second moments"):
        run(Matrix("t", w, format_of("q4_0")), MethodConfig())
    with pytest.raises(FormatImpossible, match="multiple of 256"):
        run(Matrix("t", w, format_of("q4_k"), hessian=hessian), MethodConfig())
    w[1, 3] = np.inf
    with pytest.raises(BadFile, match="inf"):
        run(Matrix("t", w, format_of("q4_0"), hessian=hessian), MethodConfig())


def test_removed_weights_are_zero_and_their_error_is_passed_on(layer: Layer) -> None:
    w, hessian = layer(8, 64, seed=4)
    format = format_of("f16")

    def least(now: Tensor, u: Tensor) -> Tensor:  # 2:4, SparseGPT's score
        score = (now / u) ** 2
        return score <= score.kthvalue(2, dim=1, keepdim=True).values

    prepared = prepare(hessian, format, MethodConfig(order="natural"))
    (codes, params), _ = gptq(w, prepared, format, prune=(4, least))
    values = value_format(codes, params)
    assert ((values.reshape(8, 16, 4) == 0).sum(2) == 2).all()
    masked = np.where(values == 0, 0, w)
    errors = [layer_error(torch.from_numpy(v - w), hessian) for v in (values, masked)]
    assert errors[0] < 0.8 * errors[1]
