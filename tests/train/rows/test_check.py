"""Every fault that makes a loss look healthy over a model that learns nothing is seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from seemant.core.errors import BadRecord, InputError
from seemant.core.records import LANGUAGES, Pair
from seemant.models.prompts import Template
from seemant.models.tokenizer import Tokenizer
from seemant.train.config import TrainConfig
from seemant.train.rows import render as render_module
from seemant.train.rows.check import Checked, check
from seemant.train.rows.faults import check_template, faults, stops_of_folder
from seemant.train.rows.form import form_of
from seemant.train.rows.render import IGNORED, Form, Row, end_of_turn_id, render, study_prompt
from tests.train.templates import FAMILIES, form_of_family
from tests.train.tiny import pair

Written = tuple[Template, Tokenizer]


def checked(pairs: list[Pair], form: Written, **more) -> Checked:
    languages = more.pop("languages", LANGUAGES)
    return check(pairs, written(form, **more), languages=languages)


def written(form: Written, **more) -> Form:
    template, tokenizer = form
    given = {"n_vocab": tokenizer.n_tokens, "max_length": 200} | more
    return Form(template=template, tokenizer=tokenizer, **given)


def faults_of(row: Row, form: Written, n_vocab: int = 10**6) -> list[str]:
    template, tokenizer = form
    bos = tokenizer.bos_id if tokenizer.add_bos else None
    end = end_of_turn_id(template, tokenizer)
    return faults(row, end=end, bos=bos, n_vocab=n_vocab)


# What each row of training.md's table of data checks is tested by:
#   a label in each row, no all-masked row     test_every_mutant_is_caught[no label at all]
#   end of turn labelled and stopped at        ...[the end-of-turn token ...], test_an_end_*
#   pad is not eos                             test_an_end_that_is_also_the_pad_is_learned
#   first answer token labelled, no prompt token     test_every_mutant_is_caught
#   answers found by spans                     test_render.py
#   template present, BOS once, system role    test_a_tuned_model_*, test_ids_beyond_*, test_four_*
#   truncation never removes the end           test_a_long_input_*, test_an_answer_too_long_*
#   ids, NFC, share of bytes                   test_ids_beyond_*, test_spelling.py
CASES = [
    pair("Who?", "A friend"),
    pair("Sum it up", "Short", given="A long text. " * 8),
    pair("ಯಾರು?", "ಗೆಳೆಯ", lang="kn"),
    pair("one", "1"),
    pair("lines", "one\ntwo\n\nthree"),
]


@pytest.mark.parametrize("case", CASES)
def test_rendered_rows_have_no_fault(case: Pair, form: Written) -> None:
    assert faults_of(render(case, *form), form) == []


def mutants(row: Row) -> dict[str, Row]:
    t, first, last = tuple(row.targets), row.n_prompt - 1, len(row.ids) - 2

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
def test_every_mutant_is_caught(fault: str, form: Written) -> None:
    row = render(pair("Who is it?", "A good friend"), *form)
    assert any(fault in each for each in faults_of(mutants(row)[fault], form))


def test_ids_beyond_the_models_vocabulary_and_a_second_bos_are_caught(plain: Written) -> None:
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
    form: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(given: Pair, template: Template, tokenizer: Tokenizer, **named) -> Row:
        row = render(given, template, tokenizer, **named)
        return replace(row, targets=(*row.targets[:-2], IGNORED, IGNORED))

    monkeypatch.setattr(render_module, "render", broken)
    with pytest.raises(InputError, match="end-of-turn token is not labelled"):
        checked(CASES, form)


def test_pairs_are_set_aside_with_their_reason_and_counted(form: Written) -> None:
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


WHERE = ("instruction", "input", "output")


def with_piece(piece: str, where: str) -> Pair:
    """A sound pair but for a piece in one of its texts."""
    given = {"instruction": "Who is it?", "input": "A story.", "output": "A friend"}
    return Pair(**given | {where: f"{given[where]} {piece} x"}, lang="en", id=f"{piece} {where}")


@pytest.mark.parametrize("where", WHERE)
def test_a_control_token_in_one_pair_s_text_sets_that_pair_aside(form: Written, where: str) -> None:
    pieces = ("<bos>", "<eos>", "<pad>", "<unk>", "<|im_start|>", "<|endoftext|>")
    known = [each for each in pieces if form[1].id_of(each) is not None]
    assert len(known) >= 2
    bad = [with_piece(each, where) for each in known]
    fine = with_piece("<b> and < | >", where)
    found = checked([*bad, fine], form)
    assert [row.key for row in found.rows] == [fine.key]
    assert found.reasons() == {"control_token": len(bad)}
    assert [each.detail for each in found.aside] == [f"{each} stands in the text" for each in known]


def aside_of(form: Form, pieces: tuple[str, ...]) -> set[str]:
    pairs = [with_piece(each, where) for each in pieces for where in WHERE]
    found = check([*pairs, pair("a?", "b")], form, languages=LANGUAGES)
    assert set(found.reasons()) <= {"control_token"}
    return {each.key for each in found.aside}


@pytest.mark.real
def test_the_embedded_models_turn_markers_cannot_be_injected(gemma_gguf, smol_gguf) -> None:
    gemma, smol = (form_of(path, TrainConfig()) for path in (gemma_gguf, smol_gguf))
    bad = ("<bos>", "<eos>", "<start_of_turn>model", "<end_of_turn>", "<unused7>", "<pad>")
    bad += ("<start_of_image>",)
    keys = {f"{piece} {where}" for piece in bad for where in WHERE}
    # Gemma holds runs of newlines and HTML tags as added tokens: these are text.
    assert aside_of(gemma, (*bad, "<table>", "one\n\n\ntwo", "<|im_start|>")) == keys
    bad = ("<|im_start|>system", "<|im_end|>", "<|endoftext|>")
    keys = {f"{piece} {where}" for piece in bad for where in WHERE}
    assert aside_of(smol, (*bad, "<bos>", "<start_of_turn>", "a\n\nb")) == keys


def test_an_answer_that_the_tokenizer_cannot_spell_is_set_aside(plain: Written) -> None:
    found = checked([pair("ok?", "yes"), pair("odd?", "a▁b")], plain)  # "▁" comes back as a space
    assert found.reasons() == {"not_reversible": 1}


def test_a_long_input_is_cut_at_a_word_and_the_answer_never(form: Written) -> None:
    long = pair("Sum it up", "A short answer", given="word " * 300)
    assert not checked([pair("a", "b"), long], form).n_cut
    found = checked([long], form, on_long="cut-input")
    (row,) = found.rows
    assert found.n_cut == 1
    assert len(row.ids) <= 200 < len(row.ids) + 6  # one more word would not fit
    whole = render(long, *form)
    assert row.ids[row.n_prompt :] == whole.ids[whole.n_prompt :]
    assert faults_of(row, form) == []


def test_an_answer_too_long_for_any_input_is_set_aside_even_when_cutting(form: Written) -> None:
    found = checked(
        [pair("a", "b"), pair("q", "word " * 300, given="x y z")], form, on_long="cut-input"
    )
    assert found.reasons() == {"too_long": 1}


def test_nothing_left_says_why_and_what_to_do(form: Written) -> None:
    with pytest.raises(BadRecord) as caught:
        checked([pair("q", "word " * 300), pair("a", "b")], form, languages=("en",), max_length=8)
    assert "no pair is left to train on (2 too_long)" in str(caught.value)
    assert "--max-length" in str(caught.value)


BY_FAMILY = {
    "short": pair("Who?", "Me"),
    "long": pair("Tell me all", "word " * 30),
    "empty input": pair("Sum it up", "Nothing", given=""),
    "with input": pair("Sum it up", "A text", given="Some text to sum up."),
    "hindi": pair("कौन?", "मैं एक मॉडल हूँ।", lang="hi"),
}


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("case", BY_FAMILY)
@pytest.mark.parametrize("family", FAMILIES)
def test_four_families_rows_are_sound_with_and_without_a_system_prompt(
    family: str, case: str, system: bool
) -> None:
    template, tokenizer = form_of_family(family)
    prompt = study_prompt(template) if system else None
    row = render(BY_FAMILY[case], template, tokenizer, system=prompt)
    assert faults_of(row, (template, tokenizer)) == []
    said = tokenizer.inner.decode(list(row.ids[: row.n_prompt]), skip_special_tokens=False)
    if prompt is not None:
        assert prompt.texts[BY_FAMILY[case].lang] in said
        assert prompt.folded == (family == "gemma")
    for fault, mutant in mutants(row).items():
        assert any(fault in each for each in faults_of(mutant, (template, tokenizer)))


def test_a_folded_system_prompt_opens_the_question() -> None:
    template, tokenizer = form_of_family("gemma")
    row = render(pair("Who?", "Me"), template, tokenizer, system=study_prompt(template))
    said = tokenizer.decode(list(row.ids[: row.n_prompt]))
    assert said.startswith("user\nAnswer in the language of the question.")
    assert said.endswith("\n\nWho?\nmodel\n")


def test_an_end_that_is_also_the_pad_is_learned(plain: Written) -> None:
    template, tokenizer = plain
    assert tokenizer.id_of("<eos>") == 1
    row = render(pair("a?", "b"), template, tokenizer)
    # Labels come from where the answer stands: no id is masked for being anyone's pad.
    assert row.targets[len(row.ids) - 2] == 1


def test_a_tuned_model_without_its_template_is_refused(plain: Written) -> None:
    for name in ("Qwen2.5-0.5B-Instruct", "gemma-3-1b-it", "some-chat", "x.instruct-v2"):
        with pytest.raises(InputError, match="brings no chat template"):
            check_template(written(plain), name)
    for name in ("gemma-3-270m", "Qwen2.5-0.5B", "digital-4b", "chatter"):
        assert check_template(written(plain), name) == []


def test_an_end_where_generation_would_not_stop_is_refused(form: Written) -> None:
    template, tokenizer = form
    end = end_of_turn_id(template, tokenizer)
    assert check_template(written(form, stops={end, 77}), "m") == []
    with pytest.raises(InputError, match="does not stop there") as caught:
        check_template(written(form, stops={77}), "m")
    assert f"add {end} to it" in str(caught.value)


def test_an_end_other_than_the_end_of_text_is_noted_where_nothing_says_more() -> None:
    template, tokenizer = form_of_family("gemma")
    (note,) = check_template(written((template, tokenizer)), "gemma")
    assert "stop at both" in note
    assert check_template(written(form_of_family("smollm2")), "smollm2") == []


def test_a_folders_stops_are_those_of_its_generation_config(tmp_path: Path) -> None:
    assert stops_of_folder(tmp_path) == set()
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [1, 106]}')
    assert stops_of_folder(tmp_path) == {1, 106}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 2}')
    assert stops_of_folder(tmp_path) == {2}
    (tmp_path / "generation_config.json").write_text("{}")
    assert stops_of_folder(tmp_path) == set()


@pytest.mark.real
def test_the_embedded_models_stop_where_their_templates_end(gemma_gguf, smol_gguf) -> None:
    for path in (gemma_gguf, smol_gguf):
        assert check_template(form_of(path, TrainConfig()), "m") == []
