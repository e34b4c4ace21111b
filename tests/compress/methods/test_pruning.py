"""Pruning methods: masks equal naive references, sparsity exact, zeros really in the file."""

import numpy as np
import pytest
import torch

from seemant.compress.methods import magnitude, sparsegpt, wanda
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import (
    fit_format,
    format_of,
    pack_format,
    snap_format,
    unpack_format,
    value_format,
)

METHODS = {"magnitude": magnitude.run, "wanda": wanda.run, "sparsegpt": sparsegpt.run}
R, C = 6, 64


def a_matrix(format: str, *, columns: int = C, rows: int = R, seed: int = 0) -> Matrix:
    """Weights and the second moments of correlated inputs, some columns much larger."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((300, columns)) @ rng.standard_normal((columns, columns))
    x *= np.exp(rng.standard_normal(columns))
    h = torch.from_numpy((x.T @ x / 300).astype(np.float32))
    weight = rng.standard_normal((rows, columns)).astype(np.float32)
    return Matrix("blk.0.ffn_up.weight", weight, format_of(format), hessian=h)


def in_the_file(matrix: Matrix, got: Quantised) -> np.ndarray:
    """The values that a reader of the stored bytes sees."""
    raw = pack_format(got.codes, got.params, matrix.format)
    return value_format(*unpack_format(raw, matrix.format))


def naive_sparsegpt(
    matrix: Matrix,
    *,
    share: float | None,
    n_of_m: tuple[int, int] | None,
    columns: int,
    damp: float,
) -> np.ndarray:
    """Algorithm 1 with the inverse of what is left computed anew for every column, float64."""
    assert matrix.hessian is not None
    w, h = matrix.weight.astype(np.float64), matrix.hessian.numpy().astype(np.float64)
    n_rows, n = w.shape
    h = h + damp * np.diag(h).mean() * np.eye(n)
    inverses = [np.linalg.inv(h[j:, j:]) for j in range(n)]
    left = np.array([inverse[0, 0] for inverse in inverses])  # [H_F⁻¹]_jj = U_jj²
    group = matrix.format.grid.group or n
    every = n_of_m[1] if n_of_m else columns
    pruned, out = np.zeros(w.shape, bool), np.zeros(w.shape)
    params = None
    for j in range(n):
        if j % every == 0:
            score = w[:, j : j + every] ** 2 / left[j : j + every]
            if n_of_m:
                for row in range(n_rows):
                    for i in sorted(range(every), key=lambda i: score[row, i])[: every - n_of_m[0]]:
                        pruned[row, j + i] = True
            else:
                flat = sorted((s, r, i) for (r, i), s in np.ndenumerate(score))
                for _, row, i in flat[: int(share * score.size + 1e-6)]:
                    pruned[row, j + i] = True
        if not matrix.format.is_float and j % group == 0:
            seen = np.where(pruned, 0, w)[:, j : j + group].astype(np.float32)
            params = fit_format(seen, matrix.format)
        for row in range(n_rows):
            if pruned[row, j]:
                q = 0.0
            elif params is None:
                q = float(np.float16(w[row, j]))
            else:
                d, grid = float(params.scale[row, 0, 0]), matrix.format.grid
                q = d * min(max(round(w[row, j] / d), grid.lowest), grid.highest)
            w[row, j:] -= (w[row, j] - q) / left[j] * inverses[j][0]
            out[row, j] = q
    return out


@pytest.mark.parametrize("format", ["f16", "q4_0", "q8_0"])
@pytest.mark.parametrize("pattern", ["unstructured:0.5", "unstructured:0.3", "2:4", "1:4"])
def test_sparsegpt_equals_the_loop_that_inverts_anew(format: str, pattern: str) -> None:
    matrix = a_matrix(format)
    share = float(pattern.split(":")[1]) if pattern.startswith("u") else None
    n_of_m = None if share else tuple(map(int, pattern.split(":")))
    config = MethodConfig(sparsity=pattern)
    got, _, _ = sparsegpt.sparsegpt(matrix, config, columns=32, compute=torch.float64)
    expected = naive_sparsegpt(matrix, share=share, n_of_m=n_of_m, columns=32, damp=config.damp)  # type: ignore[arg-type]
    np.testing.assert_allclose(value_format(*got), expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("format", ["f16", "q4_0", "q5_0", "q8_0", "int3-sym-g32", "q6_k"])
def test_two_of_four_is_there_in_the_values_of_the_file(method: str, format: str) -> None:
    matrix = a_matrix(format, columns=256 if format == "q6_k" else C)
    got = METHODS[method](matrix, MethodConfig(sparsity="2:4"))
    zeros = in_the_file(matrix, got).reshape(-1, 4) == 0
    assert (zeros.sum(1) >= 2).all()
    if format in ("f16", "q8_0"):  # coarse grids round survivors to 0, too
        assert zeros.mean() < 0.52
    assert matrix.notes["sparsity"] == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_the_share_is_exact(method: str) -> None:
    matrix = a_matrix("f16", columns=128, rows=10)
    got = METHODS[method](matrix, MethodConfig(sparsity="unstructured:0.7"))
    zeros = in_the_file(matrix, got) == 0
    wanted = {"magnitude": 896, "wanda": 10 * 89, "sparsegpt": 896}[method]
    assert zeros.sum() == wanted == round(matrix.notes["sparsity"] * 1280)
    if method == "wanda":
        assert (zeros.sum(1) == 89).all()


def test_sparsegpt_prunes_by_size_where_every_input_was_0() -> None:
    matrix = a_matrix("f16")
    assert matrix.hessian is not None
    matrix.hessian.zero_()
    got = in_the_file(matrix, sparsegpt.run(matrix, MethodConfig(sparsity="2:4")))
    plain = in_the_file(matrix, magnitude.run(matrix, MethodConfig(sparsity="2:4")))
    np.testing.assert_array_equal(got, plain)
    assert matrix.notes["dead"] == C and matrix.notes["sparsity"] == 0.5


def test_magnitude_takes_the_smallest_of_the_matrix() -> None:
    matrix = a_matrix("f16")
    got = in_the_file(matrix, magnitude.run(matrix, MethodConfig(sparsity="unstructured:0.4")))
    order = sorted(range(R * C), key=lambda i: abs(matrix.weight.flat[i]))
    assert {i for i in range(R * C) if got.flat[i] == 0} == set(order[: int(0.4 * R * C)])
    kept = got != 0
    assert (got[kept] == matrix.weight[kept].astype(np.float16)).all()


def test_wanda_takes_the_least_weight_times_norm_of_every_row() -> None:
    matrix = a_matrix("f16")
    got = in_the_file(matrix, wanda.run(matrix, MethodConfig()))
    assert matrix.hessian is not None
    for row, values in zip(matrix.weight, got, strict=True):
        scores = [abs(float(w)) * float(matrix.hessian[j, j]) ** 0.5 for j, w in enumerate(row)]
        order = sorted(range(C), key=scores.__getitem__)
        assert set(np.flatnonzero(values == 0)) == set(order[: C // 2])


@pytest.mark.parametrize("format", ["f16", "q4_0"])
def test_the_one_with_error_feedback_loses_least_of_the_output(format: str) -> None:
    matrix = a_matrix(format, columns=128, rows=32)
    assert matrix.hessian is not None
    lost = {}
    for name, run in METHODS.items():
        change = in_the_file(matrix, run(matrix, MethodConfig())) - matrix.weight
        lost[name] = float(np.trace(change @ matrix.hessian.numpy() @ change.T))
    assert lost["sparsegpt"] < lost["wanda"] < lost["magnitude"]


def test_survivors_are_rounded_as_if_they_were_all_there_is() -> None:
    matrix = a_matrix("q4_0")
    got = wanda.run(matrix, MethodConfig())
    kept = got.codes.reshape(R, C) != 0
    w = np.where(kept, matrix.weight, 0).astype(np.float32)
    params = fit_format(w, matrix.format)
    same = snap_format(w, params).reshape(R, C)[kept] == got.codes.reshape(R, C)[kept]
    assert same.mean() > 0.95  # a survivor that was rounded to 0 may have been the largest


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("format", ["q4_1", "q5_1", "int4-asym-channel"])
def test_a_grid_without_a_zero_is_refused_by_name(method: str, format: str) -> None:
    with pytest.raises(BadConfig, match="has no exact zero") as caught:
        METHODS[method](a_matrix(format), MethodConfig())
    assert "blk.0.ffn_up.weight" in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_that_is_no_number_is_refused(method: str) -> None:
    matrix = a_matrix("q4_0")
    matrix.weight[2, 3] = np.nan
    with pytest.raises(BadFile, match="nan among the weights"):
        METHODS[method](matrix, MethodConfig())


def test_sparsegpt_refuses_another_order_and_a_pattern_that_does_not_divide() -> None:
    with pytest.raises(BadConfig, match="stored order"):
        sparsegpt.run(a_matrix("q4_0"), MethodConfig(order="act"))
    with pytest.raises(BadConfig, match="4:7 does not divide a row of 64"):
        sparsegpt.run(a_matrix("q4_0"), MethodConfig(sparsity="4:7"))


def test_wanda_and_sparsegpt_need_calibration() -> None:
    whole = a_matrix("q4_0")
    bare = Matrix(whole.name, whole.weight, whole.format)
    for run in (wanda.run, sparsegpt.run):
        with pytest.raises(BadConfig, match="there are none"):
            run(bare, MethodConfig())
