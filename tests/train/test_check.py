"""Every fault that makes a loss look healthy over a model that learns nothing is seen."""

from dataclasses import replace

import pytest

from seemant.core.errors import BadRecord, InputError
from seemant.core.records import LANGUAGES, Pair
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer
from seemant.train import check as check_module
from seemant.train.check import Checked, check, faults
from seemant.train.render import IGNORED, Row, end_of_turn_id, render
from tests.train.tiny import pair

Form = tuple[Template, Tokenizer]


def checked(pairs: list[Pair], form: Form, **more) -> Checked:
    template, tokenizer = form
    given = {"n_vocab": tokenizer.n_tokens, "max_length": 200, "languages": LANGUAGES} | more
    return check(pairs, template, tokenizer, **given)


def faults_of(row: Row, form: Form, n_vocab: int = 10**6) -> list[str]:
    template, tokenizer = form
    bos = tokenizer.bos_id if tokenizer.add_bos else None
    end = end_of_turn_id(template, tokenizer)
    return faults(row, end=end, bos=bos, n_vocab=n_vocab)


CASES = [
    pair("Who?", "A friend"),
    pair("Sum it up", "Short", given="A long text. " * 8),
    pair("ಯಾರು?", "ಗೆಳೆಯ", lang="kn"),
    pair("one", "1"),
    pair("lines", "one\ntwo\n\nthree"),
]


@pytest.mark.parametrize("case", CASES)
def test_rendered_rows_have_no_fault(case: Pair, form: Form) -> None:
    assert faults_of(render(case, *form), form) == []


def mutants(row: Row) -> dict[str, Row]:
    t, first, last = row.targets, row.n_prompt - 1, len(row.ids) - 2

    def target(at: int, value: int) -> Row:
        return replace(row, targets=(*t[:at], value, *t[at + 1 :]))

    return {
        "the end-of-turn token is not labelled": target(last, IGNORED),
        "the first answer token is not labelled": target(first, IGNORED),
        "a prompt token is labelled": target(first - 1, row.ids[first]),
        "a hole in the answer's labels": target(first + 1, IGNORED),
        "no label at all": replace(row, targets=(IGNORED,) * len(t)),
        "a label is not the next token": replace(row, targets=(*t[1:], IGNORED)),
        "the last position has a label": target(len(t) - 1, row.ids[-1]),
    }


FAULTS = [
    "the end-of-turn token is not labelled",
    "the first answer token is not labelled",
    "a prompt token is labelled",
    "a hole in the answer's labels",
    "no label at all",
    "a label is not the next token",
    "the last position has a label",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mutant_is_caught(fault: str, form: Form) -> None:
    row = render(pair("Who is it?", "A good friend"), *form)
    assert any(fault in each for each in faults_of(mutants(row)[fault], form))


def test_ids_beyond_the_models_vocabulary_and_a_second_bos_are_caught(plain: Form) -> None:
    row = render(pair("Who?", "Me"), *plain)
    assert any("outside the vocabulary of 40" in each for each in faults_of(row, plain, 40))
    double = replace(
        row,
        ids=(2, *row.ids),
        targets=(IGNORED, *row.targets),
        n_prompt=row.n_prompt + 1,
    )
    assert faults_of(double, plain) == ["BOS stands 2 times, not once at the beginning"]


def test_a_template_that_masks_the_end_stops_the_run(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(given: Pair, template: Template, tokenizer: Tokenizer) -> Row:
        row = render(given, template, tokenizer)
        return replace(row, targets=(*row.targets[:-2], IGNORED, IGNORED))

    monkeypatch.setattr(check_module, "render", broken)
    with pytest.raises(InputError, match="end-of-turn token is not labelled"):
        checked(CASES, form)


def test_pairs_are_set_aside_with_their_reason_and_counted(form: Form) -> None:
    template, _ = form
    pairs = [
        pair("ok?", "yes", id="good"),
        pair("क्या?", "हाँ", lang="hi", id="other-language"),
        pair("long?", "word " * 200, id="long"),
        pair("control?", f"stop{template.end_of_turn}go", id="control"),
    ]
    found = checked(pairs, form, languages=("en",))
    assert [row.key for row in found.rows] == ["good"]
    assert {each.key: each.reason for each in found.aside} == {
        "other-language": "language",
        "long": "too_long",
        "control": "control_token",
    }
    assert found.reasons() == {"control_token": 1, "language": 1, "too_long": 1}


def test_an_answer_that_the_tokenizer_cannot_spell_is_set_aside(plain: Form) -> None:
    found = checked([pair("ok?", "yes"), pair("odd?", "a▁b")], plain)  # "▁" comes back as a space
    assert found.reasons() == {"not_reversible": 1}


def test_a_long_input_is_cut_at_a_word_and_the_answer_never(form: Form) -> None:
    long = pair("Sum it up", "A short answer", given="word " * 300)
    assert not checked([pair("a", "b"), long], form).n_cut
    found = checked([long], form, on_long="cut-input")
    (row,) = found.rows
    assert found.n_cut == 1
    assert len(row.ids) <= 200 < len(row.ids) + 6  # one more word would not fit
    whole = render(long, *form)
    assert row.ids[row.n_prompt :] == whole.ids[whole.n_prompt :]
    assert faults_of(row, form) == []


def test_an_answer_too_long_for_any_input_is_set_aside_even_when_cutting(form: Form) -> None:
    found = checked(
        [pair("a", "b"), pair("q", "word " * 300, given="x y z")], form, on_long="cut-input"
    )
    assert found.reasons() == {"too_long": 1}


def test_nothing_left_says_why_and_what_to_do(form: Form) -> None:
    with pytest.raises(BadRecord) as caught:
        checked([pair("q", "word " * 300), pair("a", "b")], form, languages=("en",), max_length=8)
    assert "no pair is left to train on (2 too_long)" in str(caught.value)
    assert "--max-length" in str(caught.value)
