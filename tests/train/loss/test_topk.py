"""The streamed top-k is the top-k of all probabilities, with the answer always among them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.train.loss.kd import streamed_topk_kd
from seemant.train.loss.stream import Reading
from seemant.train.loss.topk import streamed_topk
from tests.train.losses import inputs, logits


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 20),
    vocab=st.integers(2, 50),
    k=st.integers(2, 50),
    block=st.integers(1, 60),
    temperature=st.sampled_from([1.0, 2.0]),
    softcap=st.sampled_from([None, 3.0]),
)
def test_it_equals_sorting_all_probabilities(
    m: int, vocab: int, k: int, block: int, temperature: float, softcap: float | None
) -> None:
    k = min(k, vocab)
    h, targets, weight = inputs(m, vocab, 5, size=1.0, dtype=torch.float64)
    how = Reading(block, softcap=softcap, temperature=temperature)
    got = streamed_topk(h, targets, weight, k, how)
    log_p = logits(h, weight, softcap=softcap, temperature=temperature).log_softmax(1)
    others = log_p.scatter(1, targets.unsqueeze(1), -torch.inf)
    best = others.topk(k - 1).indices
    assert torch.equal(got.ids[:, 0], targets)
    assert torch.equal(got.ids[:, 1:], best)
    torch.testing.assert_close(got.logp, log_p.gather(1, got.ids), rtol=1e-10, atol=1e-10)
    rest = log_p.scatter(1, got.ids, -torch.inf).logsumexp(1)
    torch.testing.assert_close(got.tail, rest, rtol=1e-9, atol=1e-9)


def test_a_teacher_that_is_the_student_has_nothing_to_teach() -> None:
    h, targets, weight = inputs(9, 300, 16, size=0.6)
    said = streamed_topk(h, targets, weight, 8, Reading(64, temperature=2.0))
    loss = streamed_topk_kd(
        h, said.ids, said.logp, weight, block=50, temperature=2.0, tail=said.tail
    )
    assert loss.abs().max() <= 4e-6


def test_a_tail_far_below_float32s_resolution_is_still_right() -> None:
    weight = torch.zeros(20, 1)
    weight[:2, 0] = 30.0
    said = streamed_topk(torch.ones(1, 1), torch.tensor([0]), weight, 2, Reading(7))
    want = torch.tensor([18.0]).log() - 30 - torch.tensor([2.0]).log()
    torch.testing.assert_close(said.tail, want, rtol=1e-5, atol=1e-5)


def test_k_must_leave_room_for_the_answer_and_fit_the_vocabulary() -> None:
    h, targets, weight = inputs(2, 10, 4, size=1.0)
    for k in (1, 11):
        with pytest.raises(ValueError, match="from 2 to the 10 tokens"):
            streamed_topk(h, targets, weight, k, Reading(4))
