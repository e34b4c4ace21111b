"""R is orthogonal, flat, drawn from its seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import hadamard as scipys

from seemant.compress.rotate.orthogonal import hadamard, rotation


@given(st.integers(1, 200), st.integers(0, 5))
def test_every_width_has_an_orthogonal_rotation(d: int, seed: int) -> None:
    r = rotation(d, seed).double()
    assert torch.allclose(r @ r.T, torch.eye(d, dtype=torch.float64), atol=1e-5)


@pytest.mark.parametrize("d", [576, 640, 896])
def test_no_channel_keeps_more_than_its_share(d: int) -> None:
    """A lone outlier of 1 becomes numbers of at most √2 / √d."""
    assert float(rotation(d, 0).abs().max()) <= (2 / d) ** 0.5 * (1 + 1e-6)


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_powers_of_two_are_sylvesters_matrix(n: int) -> None:
    np.testing.assert_allclose(hadamard(n), scipys(n) / n**0.5, atol=1e-12)


def test_seeds_decide() -> None:
    assert torch.equal(rotation(96, 3), rotation(96, 3))
    assert not torch.equal(rotation(96, 3), rotation(96, 4))
