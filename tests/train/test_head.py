"""The streamed loss equals the plain one, to rounding, in every case that ever went wrong."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from seemant.train import head
from seemant.train.head import streamed_cross_entropy


def plain(h: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Loss a row and gradient of a weighted sum of them, through full logits in float64."""
    h = h.detach().double().requires_grad_()
    loss = cross_entropy(h @ weight.double().T, targets, reduction="none", ignore_index=-100)
    (loss * scale(len(h)).double()).sum().backward()
    assert h.grad is not None
    return loss.detach(), h.grad


def streamed(h: Tensor, targets: Tensor, weight: Tensor, block: int) -> tuple[Tensor, Tensor]:
    h = h.detach().clone().requires_grad_()
    loss = streamed_cross_entropy(h, targets, weight, block)
    (loss * scale(len(h)).to(loss.dtype)).sum().backward()
    assert h.grad is not None
    return loss.detach(), h.grad


def scale(n: int) -> Tensor:
    """A different upstream gradient for each row."""
    return torch.linspace(0.5, 1.5, n)


def relative(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want.double()).norm() / want.double().norm())


def inputs(m: int, vocab: int, d: int, size: float, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(m + vocab)
    h = torch.randn(m, d, generator=generator, dtype=dtype)
    weight = torch.randn(vocab, d, generator=generator, dtype=dtype) * size
    return h, torch.randint(vocab, (m,), generator=generator), weight


@pytest.mark.parametrize("m", [1, 5, 24])
@pytest.mark.parametrize("peaked", [False, True])
def test_at_gemmas_vocabulary_it_equals_full_logits(m: int, peaked: bool) -> None:
    h, targets, weight = inputs(m, 262_144, 32, size=3.0 if peaked else 0.1)
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=8192)
    assert relative(got, want) <= 1e-6
    assert relative(gradient, want_gradient) <= 1e-5
    if peaked:
        top = torch.softmax(h @ weight.T, -1).amax(-1)
        assert top.mean() > 0.4


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 6), vocab=st.integers(1, 60), block=st.integers(1, 70))
def test_in_float64_it_is_exact_for_every_block_size(m: int, vocab: int, block: int) -> None:
    h, targets, weight = inputs(m, vocab, 7, size=1.0, dtype=torch.float64)
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-12, atol=1e-12)


def test_ignored_rows_cost_nothing_and_get_no_gradient() -> None:
    h, targets, weight = inputs(6, 50, 8, size=1.0)
    targets[[0, 3]] = -100
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=16)
    torch.testing.assert_close(got, want.float(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, want_gradient.float(), rtol=1e-5, atol=1e-6)
    assert got[0] == 0 and not gradient[3].any()


def test_no_row_at_all_is_a_differentiable_zero() -> None:
    h = torch.ones(3, 8, requires_grad=True)
    nothing = torch.full((3,), -100)
    loss = streamed_cross_entropy(h, nothing, torch.ones(50, 8), 16).sum()
    loss.backward()
    assert loss == 0
    assert h.grad is not None and not h.grad.any()


def test_a_logit_of_ten_thousand_does_not_overflow() -> None:
    h = torch.tensor([[1e4, 0.0], [-1e4, 1.0]])
    weight = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [-1.0, 2.0]])
    targets = torch.tensor([1, 0])
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=1)
    torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=1e-3)
    torch.testing.assert_close(gradient.double(), want_gradient, rtol=1e-5, atol=1e-5)


def test_without_the_rescaling_it_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    h, targets, weight = inputs(4, 50, 8, size=1.0)
    want, want_gradient = plain(h, targets, weight)
    monkeypatch.setattr(head, "rescale", lambda old, new: (~torch.isinf(old)).to(old.dtype))
    got, gradient = streamed(h, targets, weight, block=16)
    assert relative(got, want) > 1e-3
    assert relative(gradient, want_gradient) > 1e-3


def test_gradcheck_agrees_in_float64() -> None:
    h, targets, weight = inputs(3, 11, 4, size=1.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: streamed_cross_entropy(x, targets, weight, 4), (h.requires_grad_(),)
    )


def test_bfloat16_errs_no_more_than_full_bfloat16_logits() -> None:
    h, targets, weight = inputs(16, 4096, 64, size=0.3)
    h, weight = h.bfloat16(), weight.bfloat16()
    want, want_gradient = plain(h, targets, weight)
    got, gradient = streamed(h, targets, weight, block=512)
    assert got.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    x = h.clone().requires_grad_()
    full = cross_entropy((x @ weight.T).float(), targets, reduction="none")
    (full * scale(16)).sum().backward()
    assert x.grad is not None
    assert relative(got, want) <= 1.5 * max(relative(full.detach(), want), 1e-3)
    assert relative(gradient, want_gradient) <= 1.5 * relative(x.grad, want_gradient)
