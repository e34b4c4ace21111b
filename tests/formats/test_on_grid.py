"""Weights that were rounded before are found, weights that were not are left alone."""

import numpy as np
import pytest

from seemant.formats.grids import fit, grouped, snap, value
from seemant.formats.on_grid import detect, shares_on_grid
from seemant.formats.packing import CONTAINERS

W = np.random.default_rng(5).standard_normal((64, 128)).astype(np.float32)


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_rounded_weights_are_recognised(name: str) -> None:
    groups = grouped(W, 32)
    params = fit(groups, CONTAINERS[name].grid)
    rounded = value(snap(groups, params), params).reshape(W.shape)
    assert detect(rounded) == name
    assert shares_on_grid(rounded)[name] > 0.99


def test_continuous_weights_lie_on_no_grid() -> None:
    assert detect(W) is None
    assert max(shares_on_grid(W).values()) == 0.0


def test_a_small_change_hides_the_grid_and_a_tiny_one_does_not() -> None:
    groups = grouped(W, 32)
    params = fit(groups, CONTAINERS["Q4_0"].grid)
    rounded = value(snap(groups, params), params)
    noise = np.random.default_rng(6).standard_normal(rounded.shape).astype(np.float32)
    step = np.abs(params.scale)
    assert detect((rounded + noise * step * 1e-3).reshape(W.shape)) == "Q4_0"
    assert detect((rounded + noise * step * 0.3).reshape(W.shape)) is None


def test_zeros_are_no_evidence() -> None:
    assert detect(np.zeros((4, 64), np.float32)) is None
