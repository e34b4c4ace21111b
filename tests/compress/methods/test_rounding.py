"""The methods without error feedback, the registry, and what a method is given."""

import numpy as np
import pytest
import torch

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.registry import METHODS, method_of
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import format_of, value_format
from tests.compress.methods.conftest import Layer


def weighted_error(w: np.ndarray, matrix: Matrix, name: str) -> float:
    values = value_format(*METHODS[name].run(matrix, MethodConfig()))
    return float(((values - w) ** 2 * matrix.the_importance()).sum())


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "int3-asym-g64"])
def test_importance_lowers_the_error_that_it_weighs(layer: Layer, name: str) -> None:
    w, hessian = layer(16, 128)
    matrix = Matrix("t", w, format_of(name), hessian=hessian)
    assert weighted_error(w, matrix, "imatrix") < 0.95 * weighted_error(w, matrix, "rtn")


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q8_0"])
def test_rounding_errs_by_half_a_step_at_most(layer: Layer, name: str) -> None:
    w, _ = layer(8, 64)
    codes, params = METHODS["rtn"].run(Matrix("t", w, format_of(name)), MethodConfig())
    error = np.abs(value_format(codes, params) - w).reshape(codes.shape)
    step = np.abs(params.scale)
    inside = codes < params.grid.highest  # the other end is clipped; 0.07: the scale in fp16
    assert (error <= 0.57 * step + 1e-6)[inside].all()


def test_damaged_weights_are_named(layer: Layer) -> None:
    w, hessian = layer(4, 64)
    w[2, 5] = np.nan
    for name in ("rtn", "imatrix", "gptq"):
        with pytest.raises(BadFile, match="nan") as caught:
            METHODS[name].run(
                Matrix("blk.1.ffn_up.weight", w, format_of("q4_0"), hessian=hessian), MethodConfig()
            )
        assert "blk.1.ffn_up.weight, row 2" in str(caught.value)


def test_a_row_of_a_slice_is_told_by_its_number_in_the_tensor(layer: Layer) -> None:
    w, _ = layer(4, 64)
    w[2, 5] = np.nan
    with pytest.raises(BadFile) as caught:
        Matrix("t", w, format_of("q4_0"), first_row=8192).check_finite()
    assert caught.value.where == "tensor t, row 8194"


@pytest.mark.parametrize("name", ["rtn", "imatrix", "gptq", "magnitude"])
@pytest.mark.parametrize("format", ["q4_0", "q8_0", "f16"])
def test_a_weight_too_large_for_fp16_is_named_with_what_to_do(
    layer: Layer, name: str, format: str
) -> None:
    w, hessian = layer(4, 64)
    w[2, 5] = 1e30
    with pytest.raises(BadFile, match=r"weights of up to 1e\+30") as caught:
        METHODS[name].run(
            Matrix("blk.1.ffn_up.weight", w, format_of(format), hessian=hessian), MethodConfig()
        )
    assert caught.value.where == "tensor blk.1.ffn_up.weight"
    assert "damage" in str(caught.value.fix)


def test_a_method_says_what_it_lacks(layer: Layer) -> None:
    w, _ = layer(4, 64)
    with pytest.raises(BadConfig, match="mean squares"):
        METHODS["imatrix"].run(Matrix("t", w, format_of("q4_0")), MethodConfig())


def test_moments_of_another_width_are_a_mistake(layer: Layer) -> None:
    w, _ = layer(4, 64)
    with pytest.raises(ValueError, match="hessian"):
        Matrix("t", w, format_of("q4_0"), hessian=torch.eye(32))


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(BadConfig, match="gtpq") as caught:
        method_of("gtpq")
    assert "'gptq'" in str(caught.value)
    for wrong in ({"order": "random"}, {"damp": 2.0}, {"block": 0}):
        with pytest.raises(BadConfig):
            MethodConfig(**wrong)
