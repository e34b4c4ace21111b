"""One step: the weighted mean over all targets, however they are cut and shared out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seemant.train.adapt import Dropout, adapt, adapters_off, trainable
from seemant.train.heldout import answer_nats, base_kl
from seemant.train.objective import Terms, Weight, answers_only, near_base
from seemant.train.rows.render import IGNORED, Row, render
from seemant.train.scale.world import Lone
from seemant.train.step import Trainee, accumulate
from seemant.train.student import LossSettings, Student, flat
from tests.train.tiny import decoder_of, shaken, some_pairs, tiny_gemma, tiny_llama


def rows_of(form: Any, n: int = 8) -> list[Row]:
    return [render(each, *form) for each in some_pairs(n)]


def fresh(form: Any, make: Callable[..., Any] = tiny_llama, **how: Any) -> Any:
    """A student whose adapters already do something, and what is trained of it."""
    decoder = decoder_of(make(form[1].n_tokens))
    dropout = Dropout(how.pop("dropout", 0.0), 5)
    adapters = adapt(decoder, "lora", 4, 8.0, seed=0, dropout=dropout)
    parameters = shaken(trainable(adapters))
    student = Student(decoder, LossSettings(vocab_block=64))
    optimiser = torch.optim.SGD(parameters.values(), lr=0.1)
    return Trainee(parameters, answers_only(student), optimiser, dropout), student, adapters


def gradient_of(trainee: Trainee) -> torch.Tensor:
    flat_one = torch.cat([p.grad.flatten() for p in trainee.parameters.values()])
    for parameter in trainee.parameters.values():
        parameter.grad = None
    return flat_one


def split(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def off(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_losses_equal_those_of_the_plain_model(make: Any, form: Any) -> None:
    model = make(form[1].n_tokens)
    student = Student(decoder_of(model), LossSettings(vocab_block=64))
    rows = rows_of(form, 4)
    with torch.no_grad():
        got = student.answer_losses(rows)
        want = torch.cat(
            [
                torch.nn.functional.cross_entropy(
                    model(input_ids=torch.tensor([list(row.ids)])).logits[0],
                    torch.tensor(list(row.targets)),
                    reduction="none",
                )[torch.tensor(list(row.targets)) != IGNORED]
                for row in rows
            ]
        )
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_micro_batches_of_any_size_give_the_same_gradient(form: Any) -> None:
    trainee, student, _ = fresh(form)
    rows = rows_of(form, 8)
    assert len({row.n_answer for row in rows}) > 2
    found = accumulate(trainee, split(rows, 8), 0, Lone())
    want = gradient_of(trainee)
    for size in (1, 2, 4):
        again = accumulate(trainee, split(rows, size), 0, Lone())
        assert again.nats == pytest.approx(found.nats, rel=1e-6)
        assert again.by_bucket == {"pairs": pytest.approx(found.nats, rel=1e-6)}
        assert off(gradient_of(trainee), want) <= 2e-6

    for one in rows:  # what other loops do: the mean of the micro-batches' means
        (student.answer_losses([one]).mean() / len(rows)).backward()
    assert off(gradient_of(trainee), want) > 1e-2


def silent_row() -> Row:
    return Row(key="x", paragraph="x", lang="en", ids=[5, 6], targets=[IGNORED] * 2, n_prompt=1)


def test_a_micro_batch_without_any_target_adds_nothing(form: Any) -> None:
    trainee, _, _ = fresh(form)
    rows = rows_of(form, 2)
    found = accumulate(trainee, [rows], 0, Lone())
    want = gradient_of(trainee)
    assert accumulate(trainee, [rows, [silent_row()]], 0, Lone()) == found
    assert torch.equal(gradient_of(trainee), want)


class Rank:
    """One of two ranks, run after each other: what they add up is handed over by hand."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size, self.shards, self.said = rank, size, False, []

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        self.said = list(values)
        return list(values)

    def reduce_gradients(self, parameters: Any) -> None: ...
    def place(self, decoder: Any) -> None: ...


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ranks_together_give_the_gradient_of_one_process(form: Any, size: int) -> None:
    trainee, _, _ = fresh(form, dropout=0.2)
    rows = rows_of(form, 8)
    batches = [rows[:1], rows[1:4], rows[4:6], rows[6:]]
    whole = accumulate(trainee, batches, 3, Lone())
    want = gradient_of(trainee)
    ranks = [Rank(rank, size) for rank in range(size)]
    total = torch.zeros_like(want)
    for rank in ranks:
        accumulate(trainee, batches, 3, rank)
        if any(p.grad is not None for p in trainee.parameters.values()):
            total += gradient_of(trainee)  # a rank without a micro-batch has none
    assert off(total / size, want) <= 1e-6  # the mean, as gradients are reduced
    sums = [sum(each) for each in zip(*(rank.said for rank in ranks), strict=True)]
    assert sums[0] == pytest.approx(whole.total, rel=1e-6)
    assert sums[3] / sum(row.n_answer for row in rows) == pytest.approx(whole.nats, rel=1e-6)


def test_a_rows_weight_counts_and_buckets_are_told_apart(form: Any) -> None:
    trainee, student, _ = fresh(form)
    a, b = rows_of(form, 2)
    heavy = replace(b, bucket="replay", weight=3.0)
    found = accumulate(trainee, [[a], [heavy]], 0, Lone())
    got = gradient_of(trainee)
    losses = [student.answer_losses([row]) for row in (a, b)]
    n = a.n_answer + 3 * b.n_answer
    total = (losses[0].sum() + 3 * losses[1].sum()) / n
    total.backward()
    assert off(got, gradient_of(trainee)) <= 1e-6
    assert found.total == pytest.approx(float(total.detach()), rel=1e-6)
    means = {name: float(each.detach().mean()) for name, each in zip("ab", losses, strict=True)}
    assert found.by_bucket["pairs"] == pytest.approx(means["a"], rel=1e-6)
    assert found.by_bucket["replay"] == pytest.approx(means["b"], rel=1e-6)
    plain = float(torch.cat([each.detach() for each in losses]).mean())
    assert found.nats == pytest.approx(plain, rel=1e-6)


def test_no_row_sees_another(form: Any) -> None:
    _, student, _ = fresh(form)
    rows = rows_of(form, 6)
    alone = [answer_nats(student, [row], 1)[0] for row in rows]
    assert answer_nats(student, rows, 10_000) == pytest.approx(alone, rel=1e-6)
    assert answer_nats(student, rows, 70) == pytest.approx(alone, rel=1e-6)
    filled = replace(student, fill=64)
    assert answer_nats(filled, rows, 10_000) == pytest.approx(alone, rel=1e-6)


def test_rows_are_filled_up_by_a_segment_of_their_own_without_targets(form: Any) -> None:
    rows = rows_of(form, 3)
    n = sum(len(row.ids) for row in rows)
    ids, targets, lengths = flat(rows, 32)
    assert len(ids) == len(targets) == sum(lengths) == -(-n // 32) * 32
    assert lengths[:3] == [len(row.ids) for row in rows]
    assert ids[:n].tolist() == [token for row in rows for token in row.ids]
    assert set(targets[n:].tolist()) == {IGNORED}
    assert flat(rows)[2] == lengths[:3]


def test_kl_to_the_base_is_added_and_equals_autograd_on_full_logits(form: Any) -> None:
    trainee, student, adapters = fresh(form)
    rows = rows_of(form, 3)
    trainee = replace_objective(trainee, near_base(student, adapters, Weight(0.7)))
    found = accumulate(trainee, [rows], 0, Lone())
    got = gradient_of(trainee)
    w = student.decoder.head_weight.dequantised(torch.float32)
    h, targets = student.hidden(rows)
    with adapters_off(adapters), torch.no_grad():
        base = torch.log_softmax(student.hidden(rows)[0] @ w.T, 1)
    own = torch.log_softmax(h @ w.T, 1)
    ce = torch.nn.functional.nll_loss(own, targets)
    kl = (base.exp() * (base - own)).sum(1).mean()
    (ce + 0.7 * kl).backward()
    assert off(got, gradient_of(trainee)) <= 1e-5
    assert found.nats == pytest.approx(float(ce.detach()), rel=1e-5)
    assert found.kl == pytest.approx(float(kl.detach()), rel=1e-5)
    assert found.total == pytest.approx(float((ce + 0.7 * kl).detach()), rel=1e-5)
    reverse = (own.exp() * (own - base)).sum(1).double()
    parts = torch.split(reverse.detach(), [row.n_answer for row in rows])
    want = [float(part.sum()) for part in parts]
    assert base_kl(student, adapters, rows, 50) == pytest.approx(want, rel=1e-4)


def replace_objective(trainee: Trainee, objective: Any) -> Trainee:
    return replace(trainee, objective=objective)


def test_a_fresh_student_is_at_no_distance_from_its_base(form: Any) -> None:
    decoder = decoder_of(tiny_llama(form[1].n_tokens))
    adapters = adapt(decoder, "lora", 4, 8.0, seed=0)
    student = Student(decoder)
    assert base_kl(student, adapters, rows_of(form, 3), 50) == pytest.approx([0.0] * 3, abs=1e-6)


def test_held_out_losses_are_plain_whatever_is_trained_with(form: Any) -> None:
    _, student, _ = fresh(form)
    rows = rows_of(form, 3)
    odd = replace(student, loss=LossSettings(vocab_block=64, smoothing=0.3, z_loss=0.1))
    assert answer_nats(odd, rows, 99) == answer_nats(student, rows, 99)
    assert not torch.allclose(odd.answer_losses(rows), student.answer_losses(rows))


def test_a_step_stops_adding_at_the_first_loss_that_is_not_finite(
    form: Any, tmp_path: Path
) -> None:
    trainee, _, _ = fresh(form)
    seen: list[int] = []

    def broken(rows: Sequence[Row]) -> Terms:
        seen.append(len(seen))
        values = torch.full((sum(r.n_answer for r in rows),), torch.inf, requires_grad=True)
        return Terms(values, values.detach())

    found = accumulate(replace_objective(trainee, broken), split(rows_of(form), 2), 0, Lone())
    assert found.total == torch.inf and seen == [0]
    assert trainee.dropout.at is None
