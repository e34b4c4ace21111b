"""What a language costs a tokenizer is counted, and a dear one is named."""

import pytest

from seemant.models.prompts import make_template
from seemant.train.rows.render import render
from seemant.train.rows.spelling import notes, spelling
from tests.train.tiny import byte_level, pair, sentencepiece


def rows_with(tokenizer, *pairs):
    template = make_template("", "<eos>" if tokenizer.id_of("<eos>") else "<|endoftext|>")
    return [render(each, template, tokenizer) for each in pairs]


def test_tokens_a_word_and_parts_of_letters_are_counted() -> None:
    tokenizer = byte_level()
    found = spelling(
        rows_with(tokenizer, pair("q?", "ab cd"), pair("क?", "नमक", lang="hi")), tokenizer
    )
    assert found["en"].n_words == 2 and found["en"].n_tokens == 6  # ' ab cd', a token a byte
    assert found["en"].byte_share == 0
    assert found["hi"].n_tokens == 1 + 9  # three letters of three bytes, and a space
    assert found["hi"].byte_share == pytest.approx(0.9)
    assert found["hi"].tokens_a_word == 10


def test_a_dear_language_is_named_and_a_cheap_one_is_not() -> None:
    tokenizer = sentencepiece()
    rows = rows_with(tokenizer, pair("q?", "a bc"), pair("ಕ?", "ನಮಸ್ಕಾರ", lang="kn"))
    (note,) = notes(spelling(rows, tokenizer))
    assert note.startswith("kn: 22.0 tokens a word (95% of them parts of a letter)")
