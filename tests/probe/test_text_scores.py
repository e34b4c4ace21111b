"""Script, repetition and loops, against counting by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.records import Lang, Probe
from seemant.probe.measures import measure
from seemant.probe.score import Score
from seemant.probe.text_scores import (
    compression_ratio,
    loops,
    repetition,
    script_followed,
    seq_rep,
)


def _probe(lang: Lang, question: str = "?", accepted: tuple[str, ...] = ()) -> Probe:
    return Probe(
        id=f"x.{lang}",
        lang=lang,
        category="fact",
        question=question,
        accepted=accepted,
        distractors=(),
    )


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_seq_rep_equals_the_naive_count(units: list[str], n: int) -> None:
    grams: list[tuple[str, ...]] = []
    for at in range(len(units)):
        if at + n <= len(units):
            grams.append(tuple(units[at : at + n]))
    expected = 0.0
    if grams:
        unique: list[tuple[str, ...]] = []
        for gram in grams:
            if gram not in unique:
                unique.append(gram)
        expected = 1 - len(unique) / len(grams)
    assert seq_rep(units, n) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4), st.integers(4, 8))
def test_repeating_a_piece_never_lowers_its_repetition(piece: list[str], times: int) -> None:
    assert seq_rep(piece * (times + 1)) >= seq_rep(piece * times)


@pytest.mark.parametrize(
    "text",
    [
        "ಈಗಿನಿಂದಿನಿಂದಿನಿಂದಿನ",
        "नीला नीला नीला नीला नीला नीला",
        "यह राजधानी है। यह राजधानी है। यह राजधानी है।",
        "1. 1. 1. 1. 1. 1. 1.",
        "10000000000000000",
        "the cat sat the cat sat the cat sat the",
    ],
)
def test_a_loop_is_heard(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana Mississippi",
        "ಬೇರೆ ಬೇರೆ ಊರುಗಳು",
        "जल्दी जल्दी चलो",
        "10,000,000",
        "very very good",
        "एक सप्ताह में सात दिन होते हैं।",
    ],
)
def test_ordinary_text_is_no_loop(text: str) -> None:
    assert not loops(text)


@pytest.mark.parametrize(
    ("text", "lang", "share"),
    [
        ("ದೆಹಲಿ", "kn", 1.0),
        ("7", "kn", None),
        ("AI", "hi", None),
        ("RAM एक स्मृति है", "hi", 1.0),
        ("https://example.org ದೆಹಲಿ", "kn", 1.0),
        ("Delhi", "hi", 0.0),
        ("दिल्ली", "kn", 0.0),
        ("दिल्ली", "en", 0.0),
        ("https://example.org", "kn", None),
        ("…", "hi", None),
        ("", "hi", None),
    ],
)
def test_the_script_is_followed(text: str, lang: Lang, share: float | None) -> None:
    assert script_followed(text, _probe(lang)) == share


def test_words_of_the_question_may_be_said_again() -> None:
    assert script_followed("Internet ಒಂದು ಜಾಲ", _probe("kn", "Internet ಎಂದರೇನು?")) == 1.0
    share = script_followed("Internet ಒಂದು ಜಾಲ", _probe("kn"))
    assert share is not None
    assert share < 0.8


def test_accepted_latin_words_may_be_said() -> None:
    probe = _probe("hi", accepted=("Gemma",))
    assert script_followed("Gemma एक मॉडल है", probe) == 1.0
    assert script_followed("Gemma", probe) is None  # it shows no script of its own


def test_replies_without_a_script_are_left_out_of_the_share_and_of_its_n() -> None:
    def score(n: int, share: float | None) -> Score:
        return Score(
            probe_id=f"f{n}.hi", family=f"f{n}", lang="hi", category="fact", script_share=share
        )

    scores = [score(n, None if n < 5 else float(n < 12)) for n in range(15)]
    measured = measure(scores, None, subject="m", languages=("hi",), conditions={}, seed=0)
    (found,) = [m for m in measured if m.metric == "script_followed"]
    assert (found.n, found.n_clusters, found.value) == (10, 10, 0.7)


def test_english_letters_are_left_to_the_words() -> None:
    text = "It is a network of computers and networks that lets people talk to people and networks"
    assert repetition(text) < 0.2


def test_repeated_text_compresses_better() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("दिल्ली " * 20) > 3 * compression_ratio("दिल्ली में आज धूप है")
