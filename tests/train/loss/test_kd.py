"""Top-k distillation: the full divergence at k = V, nothing at all from a teacher like oneself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seemant.train.loss.kd import Blended, Direction, streamed_topk_kd, topk_close
from seemant.train.loss.stream import Reading
from seemant.train.loss.streamed import streamed_loss
from tests.train.losses import inputs, logits, relative, with_gradient


def teacher(m: int, vocab: int, k: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """A teacher's k best ids, their log-probabilities, and the log of the others' mass."""
    generator = torch.Generator().manual_seed(seed + 7)
    log_p = torch.randn(m, vocab, generator=generator, dtype=torch.float64).mul(1.5).log_softmax(1)
    top = log_p.topk(k)
    rest = log_p.scatter(1, top.indices, -torch.inf)
    return top.indices, top.values, rest.logsumexp(1)


def plain(
    u: Tensor, ids: Tensor, logp: Tensor, tail: Tensor | None, direction: Direction
) -> Tensor:
    """The loss without τ², from all logits, by its definition."""
    log_q = u.log_softmax(1)
    of_k = log_q.gather(1, ids)
    if tail is None:
        p = logp.softmax(1)
        return (p * (p.log() - of_k)).sum(1)
    of_rest = log_q.scatter(1, ids, -torch.inf).logsumexp(1, keepdim=True)
    log_q, log_p = torch.cat([of_k, of_rest], 1), torch.cat([logp, tail.unsqueeze(1)], 1)
    first, second = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    return (first.exp() * (first - second)).sum(1)


@settings(max_examples=80, deadline=None)
@given(
    m=st.integers(1, 4),
    vocab=st.integers(3, 40),
    k=st.integers(1, 39),
    block=st.integers(1, 45),
    temperature=st.sampled_from([1.0, 2.5]),
    softcap=st.sampled_from([None, 3.0]),
    way=st.sampled_from(["renormalised", "forward", "reverse"]),
)
def test_every_form_equals_autograd_through_all_logits(
    m: int,
    vocab: int,
    k: int,
    block: int,
    temperature: float,
    softcap: float | None,
    way: str,
) -> None:
    h, _, weight = inputs(m, vocab, 5, size=1.0, dtype=torch.float64)
    ids, logp, tail = teacher(m, vocab, min(k, vocab - 1))
    direction: Direction = "reverse" if way == "reverse" else "forward"
    given_tail = None if way == "renormalised" else tail

    def by_logits(x: Tensor) -> Tensor:
        u = logits(x, weight, softcap=softcap, temperature=temperature)
        return plain(u, ids, logp, given_tail, direction) * temperature**2

    want, want_gradient = with_gradient(by_logits, h)
    got, gradient = with_gradient(
        lambda x: streamed_topk_kd(
            x,
            ids,
            logp,
            weight,
            block=block,
            temperature=temperature,
            tail=given_tail,
            direction=direction,
            softcap=softcap,
        ),
        h,
    )
    # The teacher's values are read as float32.
    torch.testing.assert_close(got, want, rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_teacher_that_is_the_student_gives_no_loss_and_no_gradient(direction: Direction) -> None:
    h, _, weight = inputs(6, 50, 8, size=1.0, dtype=torch.float64)
    log_p = logits(h, weight, temperature=2.0).log_softmax(1)
    top = log_p.topk(8)
    tail = log_p.scatter(1, top.indices, -torch.inf).logsumexp(1)
    loss, gradient = with_gradient(
        lambda x: streamed_topk_kd(
            x,
            top.indices,
            top.values,
            weight,
            block=16,
            temperature=2.0,
            tail=tail,
            direction=direction,
        ),
        h,
    )
    # The teacher's log-probabilities are read as float32, so each is off by half a step of its own.
    bound = 2.0**2 * torch.finfo(torch.float32).eps / 2 * float(log_p.abs().max())
    assert loss.abs().max() <= bound
    assert gradient.abs().max() <= bound * weight.abs().max()


def test_with_k_equal_to_the_vocabulary_it_is_the_full_divergence() -> None:
    h, _, weight = inputs(5, 30, 8, size=1.0, dtype=torch.float64)
    ids, logp, _ = teacher(5, 30, 30)
    full = plain(logits(h, weight), ids, logp, None, "forward")
    nothing = torch.full((5,), -torch.inf)
    for tail in (None, nothing):
        got, gradient = with_gradient(
            lambda x, tail=tail: streamed_topk_kd(x, ids, logp, weight, block=7, tail=tail),  # type: ignore[misc]
            h,
        )
        torch.testing.assert_close(got, full, rtol=1e-6, atol=1e-6)
        assert bool(torch.isfinite(gradient).all())
    got, gradient = with_gradient(
        lambda x: streamed_topk_kd(
            x, ids, logp, weight, block=7, tail=nothing, direction="reverse"
        ),
        h,
    )
    log_q = logits(h, weight).log_softmax(1).gather(1, ids)
    torch.testing.assert_close(got, (log_q.exp() * (log_q - logp)).sum(1), rtol=1e-6, atol=1e-6)
    assert bool(torch.isfinite(gradient).all())


def test_a_tiny_tail_is_told_from_none_where_one_minus_the_sum_is_noise() -> None:
    # q_R is 1e-9: in float32 1 - Σ q is 0 or 6e-8, and its logarithm is worth nothing.
    h = torch.tensor([[1.0, 0.0]])
    weight = torch.zeros(8, 2)
    weight[:2, 0] = 22.5
    ids, logp = torch.tensor([[0, 1]]), torch.tensor([[0.5, 0.5]]).log()
    tail = torch.tensor([1e-3]).log()
    whole = torch.tensor([[0.5, 0.5, 1e-3]]).double()
    log_p = (whole / whole.sum()).log()
    want = plain(logits(h, weight), ids, log_p[:, :2], log_p[:, 2], "forward")
    got = streamed_topk_kd(h, ids, logp, weight, block=3, tail=tail)
    assert relative(got, want) <= 1e-4


def test_rows_may_have_fewer_ids_than_others() -> None:
    h, _, weight = inputs(3, 20, 4, size=1.0, dtype=torch.float64)
    ids, logp, tail = teacher(3, 20, 4)
    short = streamed_topk_kd(h, ids[:, :2], logp[:, :2], weight, block=6)
    ids, logp = ids.clone(), logp.clone()
    ids[:, 2:] = -1
    for filler in (0.0, -torch.inf, torch.nan):
        logp[:, 2:] = filler
        got, gradient = with_gradient(lambda x: streamed_topk_kd(x, ids, logp, weight, block=6), h)
        torch.testing.assert_close(got, short)
        assert bool(torch.isfinite(gradient).all())
    assert bool(torch.isfinite(streamed_topk_kd(h, ids, logp, weight, block=6, tail=tail)).all())


def test_a_trained_head_learns_from_a_teacher_too() -> None:
    h, _, weight = inputs(4, 30, 6, size=1.0, dtype=torch.float64)
    ids, logp, tail = teacher(4, 30, 5)
    for block in (7, 64):
        mine, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
        streamed_topk_kd(h, ids, logp, mine, block=block, tail=tail).sum().backward()
        plain(h @ theirs.T, ids, logp, tail, "forward").sum().backward()
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_answers_and_teacher_blend_in_one_pass_as_in_two(direction: Direction) -> None:
    h, _, weight = inputs(5, 30, 6, size=1.0, dtype=torch.float64)
    ids, logp, tail = teacher(5, 30, 4)
    column = torch.tensor([0, 3, 1, 2, 0])
    answers = torch.nn.functional.one_hot(column, 4).bool()
    weights = torch.tensor([0.3, 0.0, 1.0, 0.5, 0.9], dtype=torch.float64)
    close = Blended(topk_close(ids, logp, tail, direction), answers, weights)
    got, gradient = with_gradient(lambda x: streamed_loss(x, weight, ids, close, Reading(7)), h)

    def by_logits(x: Tensor) -> Tensor:
        u = logits(x, weight)
        hard = torch.nn.functional.cross_entropy(u, ids[answers], reduction="none")
        return (1 - weights) * hard + weights * plain(u, ids, logp, tail, direction)

    want, want_gradient = with_gradient(by_logits, h)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, want_gradient, rtol=1e-5, atol=1e-6)


def test_the_reverse_direction_without_a_tail_is_refused() -> None:
    h, _, weight = inputs(3, 20, 4, size=1.0)
    ids, logp, _ = teacher(3, 20, 4)
    with pytest.raises(ValueError, match="tail"):
        streamed_topk_kd(h, ids, logp, weight, block=6, direction="reverse")
