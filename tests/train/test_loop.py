"""The loop: token-weighted accumulation, learning, the schedule, the stop on NaN."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from seemant.core.errors import WorldError
from seemant.train.adapt import adapt, trainable
from seemant.train.config import TrainConfig
from seemant.train.fit import fit
from seemant.train.heldout import answer_nats
from seemant.train.loop import accumulate, learning_rate
from seemant.train.render import IGNORED, Row, render
from seemant.train.student import Student, collate, student_of
from tests.train.tiny import pair, some_pairs, tiny_gemma, tiny_llama


def rows_of(form, n: int = 8) -> list[Row]:
    return [render(each, *form) for each in some_pairs(n)]


def fresh(form, make=tiny_llama):
    """A student whose adapters already do something, and their parameters."""
    model = make(form[1].n_tokens)
    parameters = trainable(adapt(model, 4, 8.0, seed=0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model, student_of(model, block=64), parameters


def gradient_of(parameters) -> torch.Tensor:
    flat = torch.cat([p.grad.flatten() for p in parameters.values()])
    for parameter in parameters.values():
        parameter.grad = None
    return flat


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_losses_equal_those_of_the_plain_model(make, form) -> None:
    model, student, _ = fresh(form, make)
    rows = rows_of(form, 4)
    ids, targets = collate(rows)
    mask = (torch.arange(ids.shape[1]) < torch.tensor([[len(r.ids)] for r in rows])).long()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
        got = student.answer_losses(rows)
    want = torch.nn.functional.cross_entropy(
        logits.view(-1, logits.shape[-1]), targets.view(-1), reduction="none"
    )
    torch.testing.assert_close(got, want[targets.view(-1) != IGNORED], rtol=1e-5, atol=1e-5)


def split(rows: list[Row], size: int) -> list[list[Row]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def test_micro_batches_of_any_size_give_the_same_gradient(form) -> None:
    _, student, parameters = fresh(form)
    rows = rows_of(form, 8)
    assert len({row.n_answer for row in rows}) > 2
    loss = accumulate(student, split(rows, 8))
    want = gradient_of(parameters)
    for size in (1, 2, 4):
        assert accumulate(student, split(rows, size)) == pytest.approx(loss, rel=1e-6)
        got = gradient_of(parameters)
        assert (got - want).norm() / want.norm() <= 1e-6 * 2

    for one in rows:  # what other loops do: the mean of the micro-batches' means
        (student.answer_losses([one]).mean() / len(rows)).backward()
    assert (gradient_of(parameters) - want).norm() / want.norm() > 1e-2


def test_a_micro_batch_without_any_target_adds_nothing(form) -> None:
    _, student, parameters = fresh(form)
    rows = rows_of(form, 2)
    silent = Row(key="x", paragraph="x", lang="en", ids=(5, 6), targets=(IGNORED,) * 2, n_prompt=1)
    loss = accumulate(student, [rows])
    want = gradient_of(parameters)
    assert accumulate(student, [rows, [silent]]) == loss
    assert torch.equal(gradient_of(parameters), want)


def test_padding_changes_no_loss(form) -> None:
    _, student, _ = fresh(form)
    rows = rows_of(form, 6)
    alone = [answer_nats(student, [row], 1)[0] for row in rows]
    assert answer_nats(student, rows, 6) == pytest.approx(alone, rel=1e-5)


def memorise(form, tmp_path: Path, make, **more):
    pairs = [
        pair("Capital of India?", "New Delhi"),
        pair("Who are you?", "A small model, and glad of it"),
        pair("2+2?", "4"),
        pair("Colour of milk?", "White"),
    ]
    rows = [render(each, *form) for each in pairs]
    given = {"rank": 8, "lr": 0.02, "steps": 40, "batch": 2, "accumulation": 2, "warmup": 2}
    config = TrainConfig(**given | more)
    model = make(form[1].n_tokens)
    return fit(model, rows, rows[:2], config, tmp_path, belongs={}), config


@pytest.mark.parametrize("make", [tiny_llama, tiny_gemma])
def test_four_pairs_are_memorised(make, form, tmp_path: Path) -> None:
    fitted, _ = memorise(form, tmp_path, make)
    losses = [line.loss for line in fitted.progress.history if line.loss is not None]
    assert len(losses) == 40
    assert losses[-1] < 0.2 * losses[0]
    assert sum(fitted.progress.now) < 0.2 * sum(fitted.progress.before)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(form, tmp_path: Path) -> None:
    def bits(name: str, seed: int) -> bytes:
        out = tmp_path / name
        out.mkdir()
        fitted, _ = memorise(form, out, tiny_llama, steps=3, seed=seed)
        last = list(fitted.adapters.values())[-1]
        return bytes(last.lora_b.detach().numpy().tobytes()) + (out / "losses.jsonl").read_bytes()

    assert bits("a", 1) == bits("b", 1)
    assert bits("c", 2) != bits("a2", 1)


def test_losses_are_logged_with_tokens_and_heldout_values(form, tmp_path: Path) -> None:
    _, config = memorise(form, tmp_path, tiny_llama, steps=5, eval_every=2)
    lines = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 5]
    measured = [line["step"] for line in lines if line["heldout_loss"] is not None]
    assert measured == [0, 2, 4, 5]
    assert lines[0]["loss"] is None
    assert all(line["tokens"] > line["answer_tokens"] > 0 for line in lines[1:])
    assert [line["lr"] for line in lines[1:]] == [learning_rate(i, config) for i in range(5)]


def test_the_rate_warms_up_in_a_line_and_falls_as_half_a_cosine() -> None:
    config = TrainConfig(lr=1.0, steps=25, warmup=5)
    rates = [learning_rate(step, config) for step in range(25)]
    assert rates[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert rates[15] == pytest.approx(0.5)
    assert all(a > b for a, b in pairwise(rates[5:]))
    assert 0 < rates[-1] < 0.01
    assert learning_rate(0, TrainConfig(lr=1.0, steps=3, warmup=0)) == 1.0


class Poisoned(torch.nn.Module):
    """A body that gives NaN from its n-th call on."""

    def __init__(self, body: torch.nn.Module, calls: int) -> None:
        super().__init__()
        self.body, self.left = body, calls

    def forward(self, **given):
        out = self.body(**given)
        self.left -= 1
        if self.left < 0:
            out.last_hidden_state = out.last_hidden_state * math.nan
        return out


def test_a_nan_stops_the_run_and_keeps_the_batch_that_did_it(
    form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(model, block: int) -> Student:
        student = student_of(model, block)
        return Student(Poisoned(student.body, calls=1 + 2 * 2), student.head, block)

    monkeypatch.setattr("seemant.train.fit.student_of", poisoned)
    with pytest.raises(WorldError, match="step 3 is not finite"):
        memorise(form, tmp_path, tiny_llama, steps=9, save_every=1)
    kept = json.loads((tmp_path / "nan_step_3.json").read_text())
    assert kept["step"] == 3 and kept["rows"][0][0]["ids"]
    assert (tmp_path / ".checkpoints" / "step_000002").is_dir()

    monkeypatch.undo()  # what broke is mended: the same call goes on and clears the note
    fitted, _ = memorise(form, tmp_path, tiny_llama, steps=9, save_every=1)
    assert fitted.progress.step == 9
    assert not list(tmp_path.glob("nan_step_*"))
