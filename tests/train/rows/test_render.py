"""Rows: where the answer begins, where it ends, and the traps between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import InputError
from seemant.models.prompts import Template, make_template
from seemant.models.tokenizer import Tokenizer
from seemant.train.rows.render import IGNORED, end_of_turn_id, render
from tests.train.tiny import CHATML, byte_level, pair, sentencepiece

Form = tuple[Template, Tokenizer]


def labelled_text(row, tokenizer: Tokenizer) -> str:
    labelled = [target for target in row.targets if target != IGNORED]
    return str(tokenizer.inner.decode(labelled, skip_special_tokens=False))


def test_the_labelled_text_is_the_answer_and_the_end_of_turn(form: Form) -> None:
    template, tokenizer = form
    row = render(pair("Capital of India?", "New Delhi"), template, tokenizer)
    want = template.answer_prefix + "New Delhi" + template.end_of_turn
    assert labelled_text(row, tokenizer) == want


def test_the_prompt_is_what_the_backends_send(form: Form) -> None:
    template, tokenizer = form
    row = render(pair("ಭಾರತದ ರಾಜಧಾನಿ?", "ದೆಹಲಿ", given="ಪಠ್ಯ", lang="kn"), template, tokenizer)
    prompt = template.render("ಭಾರತದ ರಾಜಧಾನಿ?", "kn", input="ಪಠ್ಯ")
    assert list(row.ids[: row.n_prompt]) == tokenizer.encode(prompt)


def test_targets_are_the_ids_shifted_once(form: Form) -> None:
    row = render(pair("2+2?", "4 it is"), *form)
    assert len(row.targets) == len(row.ids)
    for t, target in enumerate(row.targets[:-1]):
        assert target == (row.ids[t + 1] if t + 1 >= row.n_prompt else IGNORED)
    assert row.targets[-1] == IGNORED
    assert row.n_answer == len(row.ids) - row.n_prompt


def test_bos_stands_once_for_gemma_and_is_not_added_for_smollm() -> None:
    sp, bl = sentencepiece(), byte_level()
    plain = render(pair("a?", "b"), make_template("", "<eos>"), sp)
    chat = render(pair("a?", "b"), make_template(CHATML, "<|endoftext|>"), bl)
    assert plain.ids[0] == sp.bos_id and plain.ids.count(sp.bos_id) == 1
    assert chat.ids[:2] != (bl.bos_id, bl.bos_id)  # <|im_start|> is its unasked BOS


def test_a_token_across_the_boundary_is_seen_and_the_answer_encoded_alone() -> None:
    template = make_template("", "<eos>")
    clean, joined = sentencepiece("▁D"), sentencepiece("▁D", ":▁")  # ":▁" swallows the space
    assert not render(pair("q", "Delhi"), template, clean).retokenised
    row = render(pair("q", "Delhi"), template, joined)
    assert row.retokenised
    assert list(row.ids[: row.n_prompt]) == joined.encode(template.render("q", "en"))
    assert labelled_text(row, joined) == " Delhi<eos>"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_answer_comes_back_byte_for_byte(answer: str) -> None:
    tokenizer = byte_level()
    row = render(pair("q", answer), make_template(CHATML, "<|endoftext|>"), tokenizer)
    assert labelled_text(row, tokenizer) == answer.strip() + "<|im_end|>"


def test_an_end_of_turn_that_is_not_one_token_is_refused() -> None:
    with pytest.raises(InputError, match="tokens, not one"):
        end_of_turn_id(make_template("", "<end_of_turn>"), sentencepiece())
    with pytest.raises(InputError, match="0 tokens"):
        end_of_turn_id(make_template("", ""), sentencepiece())


def test_pairs_without_a_paragraph_are_their_own_cluster(form: Form) -> None:
    given_pair = pair("a?", "b")
    assert render(given_pair, *form).paragraph == given_pair.key
    assert render(pair("a?", "b", paragraph_id="p7"), *form).paragraph == "p7"
