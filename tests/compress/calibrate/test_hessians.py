"""Moments: sums, mixes, the tied embedding's Hessian."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.compress.calibrate import hessians
from seemant.compress.calibrate.hessians import Moments, mean_size, mixed
from seemant.compress.calibrate.tied import tied_hessian


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 40))
def test_batches_add_up_whatever_their_sizes(sizes: list[int], columns: int) -> None:
    x = torch.randn(sum(sizes), columns, generator=torch.Generator().manual_seed(sum(sizes)))
    moments, merged = Moments.of(columns), Moments.of(columns)
    for piece in x.split(sizes):
        moments.add(piece)
        one = Moments.of(columns)
        one.add(piece)
        merged.merge(one)
    wide = x.double()
    for found in (moments, merged):
        assert found.n == len(x)
        assert torch.allclose(found.mean().double(), wide.T @ wide / len(x), atol=1e-5)
        assert torch.allclose(mean_size({"": found}).double(), wide.abs().mean(0), atol=1e-6)


def test_wide_inputs_are_summed_in_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hessians, "_PANEL", 16)
    x = torch.randn(30, 53, generator=torch.Generator().manual_seed(0))
    moments = Moments.of(53)
    moments.add(x)
    assert float(moments.lower[:16, 16:].abs().max()) == 0  # that half is left out
    assert torch.allclose(moments.mean(), x.T @ x / 30, atol=1e-5)
    assert torch.equal(moments.mean(), moments.mean().T)


def test_a_mix_weighs_languages_and_not_tokens() -> None:
    few, many = Moments.of(2), Moments.of(2)
    few.add(torch.tensor([[1.0, 0.0]]))
    many.add(torch.tensor([[0.0, 1.0]]).repeat(99, 1))
    both = {"kn": few, "en": many}
    assert torch.equal(mixed(both), torch.diag(torch.tensor([0.5, 0.5])))
    assert torch.allclose(mixed(both, {"kn": 3, "en": 1}).diagonal(), torch.tensor([0.75, 0.25]))
    assert torch.equal(mixed(both, {"kn": 1}).diagonal(), torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="weights"):
        mixed(both, {"hi": 1})


def test_a_tied_embedding_weighs_the_head_and_the_table() -> None:
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    head, gain = x.T @ x, torch.arange(1.0, 9.0)
    for share in (0.0, 0.5, 1.0):
        assert float(tied_hessian(head, share, gain).trace()) == pytest.approx(1)
    assert torch.allclose(tied_hessian(head, 0.0), head / head.trace())
    dead = torch.zeros(8, 8)  # a last norm without a gain
    assert torch.allclose(tied_hessian(dead, 0.25), torch.eye(8) / 32)
    assert not tied_hessian(dead, 0.0).any()
    assert torch.allclose(tied_hessian(head, 1.0), torch.eye(8) / 8)
    assert torch.allclose(tied_hessian(head, 1.0, gain).diagonal(), gain**2 / (gain**2).sum())
    with pytest.raises(ValueError, match="share"):
        tied_hessian(head, 1.5)
