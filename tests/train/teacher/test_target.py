"""A row gets its answer's loss and the stored teacher's word, found by pair and answer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seemant.core.errors import BadFile, InputError
from seemant.core.jsonl import write_json, write_records
from seemant.models.prompts import make_template
from seemant.train.loss.kd import Direction
from seemant.train.loss.stream import Reading
from seemant.train.rows.render import Row, render
from seemant.train.student import LossSettings, Student
from seemant.train.teacher.shards import ask_teacher
from seemant.train.teacher.stored import (
    INDEX_NAME,
    TEACHER_NAME,
    Stored,
    Teacher,
    answer_hash,
    open_stored,
    places_of,
    tokenizer_hash,
    write_shard,
)
from seemant.train.teacher.target import Teaching, from_teacher
from tests.train.losses import relative
from tests.train.tiny import byte_level, decoder_of, some_pairs, tiny_gemma, tiny_llama

TOKENIZER = byte_level()
K = 12


def rows_of(n: int) -> list[Row]:
    return [render(pair, make_template("", "<|im_end|>"), TOKENIZER) for pair in some_pairs(n)]


def store(folder: Path, rows: list[Row], temperature: float = 1.0) -> Stored:
    """Targets of another model, in two shards of unlike order."""
    teacher = decoder_of(tiny_gemma(TOKENIZER.n_tokens, seed=3))
    how, places = Reading(64, temperature=temperature), []
    for number, part in enumerate((rows[::2], rows[1::2]), start=1):
        write_shard(folder, number, [ask_teacher(teacher, part, K, how)])
        places += places_of(number, part)
    write_records(folder / INDEX_NAME, places)
    facts = Teacher(
        model="path:teacher",
        sha256="0",
        template="0",
        tokenizer=tokenizer_hash(TOKENIZER),
        n_vocab=TOKENIZER.n_tokens,
        k=K,
        temperature=temperature,
    )
    write_json(folder / TEACHER_NAME, facts.model_dump())
    return open_stored(folder, TOKENIZER, temperature)


@pytest.fixture(scope="module")
def student() -> Student:
    return Student(decoder_of(tiny_llama(TOKENIZER.n_tokens)), LossSettings(vocab_block=50))


def by_hand(
    student: Student, rows: list[Row], stored: Stored, teaching: Teaching, taught: set[str]
) -> Tensor:
    """Every target's loss from all logits, in float64."""
    whole = student.decoder.head_weight.dequantised(torch.float32).double()
    found = []
    for row in rows:
        h, targets = student.hidden([row])
        u = h.double() @ whole.T
        hard = torch.nn.functional.cross_entropy(u, targets, reduction="none")
        if row.key not in taught:
            found.append(hard)
            continue
        said = stored.of(row)
        assert said is not None
        log_q = (u / teaching.temperature).log_softmax(1)
        tail_q = log_q.scatter(1, said.ids, -torch.inf).logsumexp(1, keepdim=True)
        log_q = torch.cat([log_q.gather(1, said.ids), tail_q], 1)
        log_p = torch.cat([said.logp, said.tail.unsqueeze(1)], 1).double().log_softmax(1)
        a, b = (log_p, log_q) if teaching.direction == "forward" else (log_q, log_p)
        soft = teaching.temperature**2 * (a.exp() * (a - b)).sum(1)
        found.append((1 - teaching.weight) * hard + teaching.weight * soft)
    return torch.cat(found).detach()


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_every_target_gets_its_share_of_answer_and_teacher(
    student: Student, tmp_path: Path, direction: Direction, temperature: float
) -> None:
    rows = rows_of(8)
    taught = rows[:5]
    stored = store(tmp_path, taught, temperature)
    teaching = Teaching(weight=0.7, temperature=temperature, direction=direction)
    mixed = [rows[6], rows[1], rows[4], rows[7], rows[0]]  # in no order that a file has
    terms = from_teacher(student, stored, teaching)(mixed)
    want = by_hand(student, mixed, stored, teaching, {row.key for row in taught})
    assert relative(terms.total, want) <= 1e-5
    torch.testing.assert_close(terms.nats, student.answer_losses(mixed).detach())


def test_rows_that_the_teacher_never_saw_are_trained_as_ever(
    student: Student, tmp_path: Path
) -> None:
    rows = rows_of(6)
    stored = store(tmp_path, rows[:3])
    terms = from_teacher(student, stored, Teaching(weight=0.5))(rows[3:])
    torch.testing.assert_close(terms.total, student.answer_losses(rows[3:]))


def test_smoothing_and_z_loss_belong_to_the_answers_part(student: Student, tmp_path: Path) -> None:
    rows = rows_of(3)
    stored = store(tmp_path, rows)
    smooth = replace(student, loss=LossSettings(vocab_block=50, smoothing=0.1, z_loss=0.01))
    plain = from_teacher(student, stored, Teaching(weight=0.5))(rows).total
    got = from_teacher(smooth, stored, Teaching(weight=0.5))(rows).total
    more = smooth.answer_losses(rows) - student.answer_losses(rows)
    torch.testing.assert_close(got, plain + 0.5 * more, rtol=1e-5, atol=1e-6)


def test_another_answer_to_the_same_pair_finds_no_targets(tmp_path: Path) -> None:
    rows = rows_of(2)
    stored = store(tmp_path, rows)
    other = replace(rows[0], ids=(*rows[0].ids[:-2], 7, rows[0].ids[-1]))
    assert answer_hash(other) != answer_hash(rows[0])
    assert stored.of(rows[0]) is not None
    assert stored.of(other) is None
    # Another prompt before the same answer is another question of style, not of the answer.
    moved = replace(rows[0], ids=(5, *rows[0].ids), n_prompt=rows[0].n_prompt + 1)
    assert stored.of(moved) is not None


def test_what_is_read_is_what_the_teacher_said(tmp_path: Path) -> None:
    rows = rows_of(5)
    stored = store(tmp_path, rows)
    teacher = decoder_of(tiny_gemma(TOKENIZER.n_tokens, seed=3))
    for row in rows:
        h, targets = Student(teacher).hidden([row])
        whole = teacher.head_weight.dequantised(torch.float32)
        log_p = (h @ whole.T).log_softmax(1)
        said = stored.of(row)
        assert said is not None
        assert torch.equal(said.ids[:, 0], targets)
        torch.testing.assert_close(said.logp, log_p.gather(1, said.ids), rtol=2e-3, atol=2e-3)
        total = said.logp.exp().sum(1) + said.tail.exp()
        torch.testing.assert_close(total, torch.ones(len(total)), rtol=0, atol=2e-3)


def test_other_vocabularies_temperatures_and_empty_folders_are_refused(tmp_path: Path) -> None:
    store(tmp_path, rows_of(2))
    from tests.train.tiny import sentencepiece

    with pytest.raises(InputError, match="do not share a vocabulary"):
        open_stored(tmp_path, sentencepiece(), 1.0)
    with pytest.raises(InputError, match="temperature 1, not 2"):
        open_stored(tmp_path, TOKENIZER, 2.0)
    with pytest.raises(BadFile, match="no stored targets"):
        open_stored(tmp_path / "elsewhere", TOKENIZER, 1.0)


def test_training_towards_the_teacher_brings_the_student_nearer(tmp_path: Path) -> None:
    rows = rows_of(6)
    stored = store(tmp_path, rows)
    student = Student(decoder_of(tiny_llama(TOKENIZER.n_tokens)), LossSettings(vocab_block=64))
    h, targets = student.hidden(rows)
    shift = torch.zeros_like(h).requires_grad_()
    from seemant.train.teacher.target import taught_losses

    teaching = Teaching(weight=1.0)
    optimiser = torch.optim.Adam([shift], lr=0.05)
    values = []
    for _ in range(30):
        optimiser.zero_grad()
        total, _ = taught_losses(student, h + shift, targets, rows, stored, teaching)
        total.mean().backward()
        optimiser.step()
        values.append(float(total.mean().detach()))
    assert values[-1] < 0.5 * values[0]
    assert values[-1] > -1e-5  # a divergence: never below zero


@pytest.mark.real
def test_a_real_model_has_nothing_to_learn_from_itself(smol_gguf: Path, tmp_path: Path) -> None:
    from seemant.models.decoder.load import load_decoder
    from seemant.train.config import TrainConfig
    from seemant.train.rows.form import form_of

    form = form_of(smol_gguf, TrainConfig())
    decoder = load_decoder(smol_gguf, words=False).decoder
    rows = [form.row(pair) for pair in some_pairs(3)]
    write_shard(tmp_path, 1, [ask_teacher(decoder, rows, 32, Reading(8192))])
    write_records(tmp_path / INDEX_NAME, places_of(1, rows))
    facts = Teacher(
        model="embedded:smollm2-135m-instruct",
        sha256="0",
        template=form.template.hash,
        tokenizer=tokenizer_hash(form.tokenizer),
        n_vocab=form.n_vocab,
        k=32,
        temperature=1.0,
    )
    write_json(tmp_path / TEACHER_NAME, facts.model_dump())
    stored = open_stored(tmp_path, form.tokenizer, 1.0)
    student = Student(decoder)
    with torch.no_grad():
        terms = from_teacher(student, stored, Teaching(weight=1.0))(rows)
        # What float16 leaves of ln p; the answers themselves are far from certain.
        assert terms.total.abs().max() < 1e-4
        assert terms.nats.mean() > 0.5
        torch.testing.assert_close(terms.nats, student.answer_losses(rows), rtol=1e-4, atol=1e-4)
