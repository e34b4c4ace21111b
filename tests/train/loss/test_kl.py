"""Divergences from a whole teacher equal autograd through both sets of logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seemant.models.frozen.build import frozen
from seemant.train.loss.kl import Divergence, streamed_kl
from seemant.train.loss.stream import Reading
from tests.train.losses import inputs, logits, relative, with_gradient

WAYS = ("forward", "reverse", "jsd")


def plain(u: Tensor, t: Tensor, direction: Divergence, skew: float = 0.5) -> Tensor:
    log_q, log_p = u.log_softmax(1), t.log_softmax(1)

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return (a.exp() * (a - b)).sum(1)

    if direction == "forward":
        return kl(log_p, log_q)
    if direction == "reverse":
        return kl(log_q, log_p)
    log_n = (skew * log_p.exp() + (1 - skew) * log_q.exp()).log()
    return skew * kl(log_p, log_n) + (1 - skew) * kl(log_q, log_n)


def sides(m: int, vocab: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """A student of width 5, a teacher of width 9."""
    h, _, weight = inputs(m, vocab, 5, size=1.0, dtype=dtype)
    h_teacher, _, weight_teacher = inputs(m, vocab, 9, size=0.6, dtype=dtype)
    return h, h_teacher, weight, weight_teacher


@settings(max_examples=80, deadline=None)
@given(
    m=st.integers(1, 4),
    vocab=st.integers(2, 40),
    block=st.integers(1, 45),
    temperature=st.sampled_from([1.0, 2.0]),
    caps=st.sampled_from([(None, None), (3.0, None), (None, 4.0)]),
    direction=st.sampled_from(WAYS),
    skew=st.sampled_from([0.5, 0.1]),
)
def test_every_direction_equals_autograd_for_teachers_of_other_widths(
    m: int,
    vocab: int,
    block: int,
    temperature: float,
    caps: tuple[float | None, float | None],
    direction: Divergence,
    skew: float,
) -> None:
    h, h_teacher, weight, weight_teacher = sides(m, vocab)
    student, teacher = Reading(1, 0.7, caps[0]), Reading(1, 1.3, caps[1])

    def by_logits(x: Tensor) -> Tensor:
        u = logits(x, weight, scale=0.7, softcap=caps[0], temperature=temperature)
        t = logits(h_teacher, weight_teacher, scale=1.3, softcap=caps[1], temperature=temperature)
        return plain(u, t, direction, skew) * temperature**2

    want, want_gradient = with_gradient(by_logits, h)
    got, gradient = with_gradient(
        lambda x: streamed_kl(
            x,
            h_teacher,
            weight,
            weight_teacher,
            block=block,
            temperature=temperature,
            direction=direction,
            skew=skew,
            student=student,
            teacher=teacher,
        ),
        h,
    )
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("direction", WAYS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_a_teacher_that_is_the_student_gives_no_loss_and_no_gradient(
    direction: Divergence, dtype: torch.dtype, bound: float
) -> None:
    h, _, weight = inputs(6, 300, 8, size=1.0, dtype=dtype)
    for head in (weight, weight.clone()):  # the one head of both, and two heads
        loss, gradient = with_gradient(
            lambda x, head=head: streamed_kl(  # type: ignore[misc]
                x, h, weight, head, block=64, temperature=2.0, direction=direction
            ),
            h,
        )
        assert loss.abs().max() <= bound * 4
        assert gradient.abs().max() <= bound * 4


@pytest.mark.parametrize("direction", WAYS)
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_one_frozen_head_of_both_is_read_once_and_gives_the_same(
    direction: Divergence, kind: str
) -> None:
    h, _, weight = inputs(5, 200, 16, size=0.5)
    other = h + 0.3 * torch.randn(h.shape, generator=torch.Generator().manual_seed(1))
    head = frozen(kind, (200, 16), [weight])
    whole = head.dequantised(torch.float32).clone()
    got, gradient = with_gradient(
        lambda x: streamed_kl(x, other, head, head, block=64, direction=direction), h
    )
    want, want_gradient = with_gradient(
        lambda x: plain(logits(x, whole), logits(other, whole), direction), h.double()
    )
    assert relative(got, want) <= 1e-5
    assert relative(gradient, want_gradient) <= 1e-5


def test_bfloat16_rows_give_float32_losses_near_the_true_ones() -> None:
    h, _, weight = inputs(8, 500, 32, size=0.3)
    other = h + 0.2 * torch.randn(h.shape, generator=torch.Generator().manual_seed(1))
    h, other, weight = h.bfloat16(), other.bfloat16(), weight.bfloat16()
    for direction in WAYS:
        got, gradient = with_gradient(
            lambda x, way=direction: streamed_kl(x, other, weight, weight, block=64, direction=way),  # type: ignore[misc]
            h,
        )
        want, want_gradient = with_gradient(
            lambda x, way=direction: plain(logits(x, weight), logits(other, weight), way),  # type: ignore[misc]
            h.double(),
        )
        assert got.dtype == torch.float32 and gradient.dtype == torch.bfloat16
        assert relative(got, want) <= 1e-3
        assert relative(gradient, want_gradient) <= 2e-2


@pytest.mark.parametrize("direction", WAYS)
def test_no_rows_give_a_differentiable_nothing(direction: Divergence) -> None:
    h, h_teacher, weight, weight_teacher = sides(1, 20)
    x = h[:0].clone().requires_grad_()
    loss = streamed_kl(x, h_teacher[:0], weight, weight_teacher, block=8, direction=direction).sum()
    loss.backward()
    assert loss == 0
    assert x.grad is not None


def test_logits_far_apart_by_a_constant_do_not_cancel() -> None:
    h, _, weight = inputs(4, 60, 8, size=1.0)
    lifted = torch.cat([weight, torch.ones(60, 1)], 1)
    other = torch.cat([h * 1.1, torch.full((4, 1), 900.0)], 1)  # every teacher logit + 900
    for direction in WAYS:
        got = streamed_kl(h, other, weight, lifted, block=16, direction=direction)
        want = plain(logits(h, weight), logits(h * 1.1, weight), direction)
        # Logits of 900 in float32 are themselves off by 3e-5.
        torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=2e-4)


def test_vocabularies_must_be_equal_and_heads_are_not_trained() -> None:
    h, h_teacher, weight, weight_teacher = sides(2, 20)
    with pytest.raises(ValueError, match="20 and 19"):
        streamed_kl(h, h_teacher, weight, weight_teacher[:19], block=8)
    with pytest.raises(ValueError, match="trains no head"):
        streamed_kl(h, h_teacher, weight.clone().requires_grad_(), weight_teacher, block=8)
