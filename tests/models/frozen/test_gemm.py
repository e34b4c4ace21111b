"""The products equal float64's, whichever library makes them."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from seemant.models.frozen.gemm import accumulate, product


@pytest.fixture(params=[True, False], ids=["onednn", "plain"])
def onednn(request: pytest.FixtureRequest) -> Iterator[bool]:
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(request.param)
    yield request.param
    torch._C._set_mkldnn_enabled(before)


def matrices(dtype: torch.dtype, rows: int = 37) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn(5, 48, generator=generator).to(dtype)
    w = torch.randn(rows, 48, generator=generator).to(dtype)
    return x, w, torch.rand(5, rows, generator=generator).to(dtype)


def relative(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want).norm() / want.norm())


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_a_product_equals_float64(onednn: bool, dtype: torch.dtype, bound: float) -> None:
    x, w, p = matrices(dtype)
    assert relative(product(x, w), x.double() @ w.double().T) <= bound
    assert relative(product(p, w.T), p.double() @ w.double()) <= bound
    acc = x.clone()
    assert relative(accumulate(acc, p, w), x.double() + p.double() @ w.double()) <= bound


def test_exact_bfloat16_products_lose_nothing_in_the_sum(onednn: bool) -> None:
    x, w, p = matrices(torch.bfloat16, rows=512)
    want = x.double() + p.double() @ w.double()
    exact = relative(accumulate(x.float(), p, w), want)
    rounded = relative(accumulate(x.float(), p, w, exact=False), want)
    assert exact <= 1e-5
    assert 3e-4 <= rounded <= 4e-3


def test_blocks_may_be_views_and_may_be_empty(onednn: bool) -> None:
    x, w, p = matrices(torch.float32)
    torch.testing.assert_close(product(x, w[3:9]), x @ w[3:9].T)
    torch.testing.assert_close(accumulate(x.clone(), p[:, 3:9], w[3:9]), x + p[:, 3:9] @ w[3:9])
    assert product(x[:0], w).shape == (0, 37)
    assert accumulate(x[:0].clone(), p[:0], w).shape == (0, 48)
