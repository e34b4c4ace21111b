"""RTN: what it refuses, and that it is the grid's own rounding."""

import numpy as np
import pytest

from seemant.compress.rtn import rtn
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.grids import Grid, value

W = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)


def test_values_are_within_half_a_step() -> None:
    codes, params = rtn(W, Grid(4, 32, False))
    error = np.abs(W - value(codes, params).reshape(W.shape)).reshape(6, 2, 32)
    assert (error <= np.abs(params.scale) * 0.505 + 1e-3).all()


def test_not_a_number_names_the_tensor_and_the_row() -> None:
    w = W.copy()
    w[4, 7] = np.nan
    with pytest.raises(BadFile, match="nan among the weights") as caught:
        rtn(w, Grid(4, 32, True), name="blk.3.ffn_up.weight")
    assert "tensor blk.3.ffn_up.weight, row 4" in str(caught.value)


def test_a_group_that_does_not_divide_names_the_tensor() -> None:
    with pytest.raises(BadConfig, match="group 48 does not divide a row of 64"):
        rtn(W, Grid(4, 48, True), name="blk.3.ffn_up.weight")
