"""Matrices built from row blocks: order, checks, and never whole in floats."""

import math
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from seemant.core.errors import BadConfig, BadFile
from seemant.models.frozen.build import KINDS, frozen, n_bytes_of

LIGHT = [kind for kind in KINDS if kind != "nf4"]


@pytest.mark.parametrize("kind", LIGHT)
@pytest.mark.parametrize("sizes", [[10], [1, 9], [4, 0, 3, 3]])
def test_the_cut_into_pieces_does_not_matter(kind: str, sizes: list[int]) -> None:
    w = torch.randn(10, 96)
    got = frozen(kind, (10, 96), w.split(sizes)).dequantised(torch.float32)
    assert torch.equal(got, frozen(kind, (10, 96), [w]).dequantised(torch.float32))
    assert (got - w).norm() < 0.15 * w.norm()


@pytest.mark.parametrize("kind", LIGHT)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused_by_name(kind: str, bad: float) -> None:
    w = torch.randn(10, 64)
    w[7, 3] = bad
    with pytest.raises(BadFile, match=r"blk\.3\.ffn_up\.weight .*rows 5 to 10"):
        frozen(kind, (10, 64), w.split(5), name="blk.3.ffn_up.weight")


@pytest.mark.parametrize("kind", LIGHT)
def test_pieces_that_do_not_make_the_shape_are_refused(kind: str) -> None:
    with pytest.raises(BadFile, match="w should have 10 rows; only 9 came"):
        frozen(kind, (10, 64), torch.randn(9, 64).split(4), name="w")
    with pytest.raises(BadFile, match="after 8 rows came a block of 4 x 64"):
        frozen(kind, (10, 64), torch.randn(12, 64).split(4), name="w")
    with pytest.raises(BadFile, match=r"w should be 10 x 64; .* 10 x 63"):
        frozen(kind, (10, 64), [torch.randn(10, 63)], name="w")


def test_an_unknown_kind_is_refused_with_the_nearest(kind: str = "int9") -> None:
    with pytest.raises(BadConfig, match="did you mean"):
        frozen(kind, (1, 32), [torch.zeros(1, 32)])
    with pytest.raises(BadConfig, match="did you mean"):
        n_bytes_of(kind, (1, 32))


@pytest.mark.parametrize("kind", LIGHT)
def test_half_precision_pieces_and_pieces_with_gradients_are_taken(kind: str) -> None:
    w = torch.randn(4, 64).bfloat16().requires_grad_()
    matrix = frozen(kind, (4, 64), [w])
    assert not any(each.requires_grad for each in matrix.buffers())
    assert matrix.dequantised(torch.float32).norm() > 0


@pytest.mark.parametrize("kind", LIGHT)
def test_a_piece_is_asked_for_only_when_the_last_is_done(kind: str) -> None:
    alive: list[torch.Tensor] = []

    def pieces() -> Iterator[torch.Tensor]:
        for _ in range(5):
            block = torch.randn(2, 64)
            yield block
            block.fill_(math.nan)  # had it been kept for later, the codes would show it
            alive.append(block)

    matrix = frozen(kind, (10, 64), pieces())
    assert len(alive) == 5
    assert torch.isfinite(matrix.dequantised(torch.float32)).all()


def test_counting_bytes_builds_nothing() -> None:
    tracemalloc.start()
    try:
        assert n_bytes_of("bfloat16", (1 << 20, 1 << 20)) == 1 << 41
        assert n_bytes_of("int8", (1 << 20, 1 << 20)) == (1 << 40) + (1 << 21)
        assert n_bytes_of("nf4", (1 << 20, 1 << 20)) > 1 << 39
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_gemma_3_1b_in_bytes() -> None:
    shapes = [(1024, 1152), (256, 1152), (256, 1152), (1152, 1024)]
    shapes += [(6912, 1152), (6912, 1152), (1152, 6912)]
    n_weights = 26 * sum(int(np.prod(shape)) for shape in shapes)
    n_rows = 26 * sum(rows for rows, _ in shapes)
    assert n_weights == 697_761_792  # 26 blocks of seven linears
    assert 26 * sum(n_bytes_of("int8", each) for each in shapes) == n_weights + 2 * n_rows
    bits = 8 * 26 * sum(n_bytes_of("int4", each) for each in shapes) / n_weights
    assert 4.25 < bits < 4.27
