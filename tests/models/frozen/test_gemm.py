"""The products equal float64's, whichever library makes them."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from seemant.models.frozen.gemm import accumulate, onednn_takes, product, product_by_rows


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


@pytest.mark.parametrize("rows", [3, 256, 257, 1000])
def test_a_product_by_rows_equals_float64(onednn: bool, rows: int) -> None:
    _, w, p = matrices(torch.float32, rows=rows)
    want = p.double() @ w.double()
    assert relative(product_by_rows(p, w), want) <= 5e-7
    assert product_by_rows(p[:0], w).shape == (0, 48)


def test_sums_by_rows_are_no_worse_than_sums_in_one_go() -> None:
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(64, 4096, generator=generator)
    w = torch.randn(4096, 64, generator=generator)
    want = g.double() @ w.double()
    assert relative(product_by_rows(g, w), want) <= relative(product(g, w.T), want) * 1.05


def test_long_sums_are_split_and_lose_less() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(32, 4000, generator=generator)
    w = torch.randn(48, 4000, generator=generator)
    want = x.double() @ w.double().T
    assert relative(product(x, w), want) <= 3.5e-7


def test_onednn_is_used_only_for_types_that_it_has_multiplied_here(onednn: bool) -> None:
    assert onednn_takes(torch.float32) == onednn
    assert not onednn_takes(torch.complex64)
