"""Clipping never errs more in its own metric, and is a plain search over every row and block."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seemant.compress.awq.clip import clipped
from seemant.compress.awq.errors import layer_error, rounded
from seemant.formats.tensor_format import format_of

FORMATS = ("q4_0", "q4_1", "q8_0", "int3-sym-g64", "int2-asym-g32", "int4-sym-channel", "q4_k")


@given(st.sampled_from(FORMATS), st.integers(0, 500))
def test_the_layers_error_never_grows(name: str, seed: int) -> None:
    format = format_of(name)
    w, hessian, x = _layer(seed, 256 if format.is_k else 64)
    out, report = clipped(w, hessian, format, steps=6)
    error = _error(w, rounded(out, format), x)
    assert error == pytest.approx(report.error, rel=1e-3)
    assert _error(w, rounded(w, format), x) == pytest.approx(report.unclipped_error, rel=1e-3)
    assert report.error <= report.unclipped_error
    assert report.share == float((out != w).double().mean())
    assert torch.equal(out.sign()[out != w], w.sign()[out != w])
    assert (out.abs() <= w.abs()).all()


def test_it_is_the_best_of_all_shrinkings_by_row_and_group() -> None:
    """With a Hessian of blocks only, so that rows have no terms between groups."""
    w, full, _ = _layer(3, 64)
    hessian = torch.zeros(64, 64)
    for i in (0, 32):
        hessian[i : i + 32, i : i + 32] = full[i : i + 32, i : i + 32]
    format = format_of("q4_0")
    out, report = clipped(w, hessian, format)
    total = 0.0
    for row in range(len(w)):
        for i in (0, 32):
            part, h = w[row : row + 1, i : i + 32], hessian[i : i + 32, i : i + 32]
            errors = {}
            for step in range(21):
                bound = float(part.abs().max()) * (1 - step / 40)
                values = rounded(part.clamp(-bound, bound), format)
                errors[step] = layer_error(part - values, h)
            got = layer_error(part - rounded(out[row : row + 1, i : i + 32], format), h)
            assert got == pytest.approx(min(errors.values()), rel=1e-4)
            total += got
    assert report.error == pytest.approx(total, rel=1e-4)
    assert report.error < 0.97 * report.unclipped_error  # otherwise this shows little


def test_a_lone_outlier_of_a_silent_input_is_cut_and_of_a_loud_one_is_kept() -> None:
    w, _, _ = _layer(0, 32)
    w[:, 7] = 6.0
    quiet, loud = torch.eye(32), torch.eye(32)
    quiet[7, 7], loud[7, 7] = 1e-6, 1e6
    format = format_of("q4_0")
    assert (clipped(w, quiet, format)[0][:, 7].abs() < 4).all()
    assert torch.equal(clipped(w, loud, format)[0][:, 7], w[:, 7])


def _layer(seed: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    w = rng.standard_t(4, (6, columns)).astype(np.float32)
    mixing = rng.standard_normal((columns, columns)) / columns**0.5
    x = torch.from_numpy((rng.standard_normal((120, columns)) @ mixing).astype(np.float32))
    return torch.from_numpy(w), x.T @ x / len(x), x


def _error(w: Tensor, values: Tensor, x: Tensor) -> float:
    """The mean of ‖(W − Ŵ) x‖², token by token."""
    return float(((x.double() @ (w - values).double().T) ** 2).sum(1).mean())
