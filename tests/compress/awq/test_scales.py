"""The scale search: the paper's s, plain rounding as its floor, the screening never decides."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seemant.compress.awq.config import ALPHAS
from seemant.compress.awq.scales import best_scale, scale_of
from seemant.core.errors import BadFile

SIZES = st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=12)


@given(SIZES, st.sampled_from(ALPHAS))
def test_scales_are_the_papers(sizes: list[float], alpha: float) -> None:
    a = torch.tensor(sizes)
    root = math.sqrt(max(sizes) ** alpha * min(sizes) ** alpha)
    wanted = torch.tensor([size**alpha / root for size in sizes])
    torch.testing.assert_close(scale_of(a, alpha), wanted, rtol=1e-5, atol=0)


@given(SIZES)
def test_alpha_nought_is_one_bit_for_bit(sizes: list[float]) -> None:
    assert torch.equal(scale_of(torch.tensor(sizes), 0.0), torch.ones(len(sizes)))


def test_silent_channels_count_like_the_smallest_that_is_not() -> None:
    assert torch.equal(
        scale_of(torch.tensor([0.0, 1.0, 4.0]), 0.5), scale_of(torch.tensor([1.0, 1.0, 4.0]), 0.5)
    )
    assert torch.equal(scale_of(torch.zeros(3), 0.5), torch.ones(3))


@given(st.lists(st.floats(0, 1e6), min_size=40, max_size=40))
def test_it_is_never_worse_than_plain_rounding(numbers: list[float]) -> None:
    a = torch.tensor([0.1, 1.0, 10.0])
    table = {float(scale_of(a, alpha)[0]): i for i, alpha in enumerate(ALPHAS)}
    found = best_scale(
        a,
        lambda scale: numbers[table[float(scale[0])]],
        lambda scale: numbers[20 + table[float(scale[0])]],
    )
    assert found.error <= found.rtn_error == numbers[20]
    first = sorted(range(1, 20), key=lambda i: numbers[i])[:3]
    best = min([0, *first], key=lambda i: (numbers[20 + i], i))
    assert found.alpha == ALPHAS[best] and torch.equal(found.scale, scale_of(a, found.alpha))


def test_scales_that_fp16_cannot_hold_lose_and_broken_weights_are_an_error() -> None:
    a = torch.tensor([1.0, 100.0])

    def overflows(scale: torch.Tensor) -> float:
        if float(scale.max()) > 1:
            raise BadFile("too large for fp16")
        return 1.0

    assert best_scale(a, overflows, overflows).alpha == 0
    with pytest.raises(BadFile, match="not finite"):
        best_scale(a, lambda _: math.nan, lambda _: math.nan)
    with pytest.raises(BadFile, match="activations"):
        best_scale(torch.tensor([1.0, math.inf]), lambda _: 1.0, lambda _: 1.0)
