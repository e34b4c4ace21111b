"""The verdict in plain words: thresholds, intervals, the order of the rules."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.frontier.advice import next_steps
from seemant.frontier.answers import answers
from seemant.frontier.candidates import Candidate
from seemant.frontier.verdict import (
    GUESSING,
    MEANINGS,
    WORDS,
    Tally,
    tally_of,
    told,
    word_of,
    worst,
)
from seemant.stats.clusters import proportion


def reading(right: int, asked: int) -> dict[str, Any]:
    share = proportion([float(i < right) for i in range(asked)], range(asked))
    ends = {"ci_low": share.low, "ci_high": share.high}
    return {"value": share.value, "n": asked, "n_clusters": asked, **ends}


def tally(right: int, asked: int = 43) -> Tally:
    return tally_of(reading(right, asked))


@pytest.mark.parametrize(
    ("right", "asked", "word"),
    [
        (0, 43, "no better than guessing"),
        (2, 43, "no better than guessing"),
        (8, 43, "no better than guessing"),  # 19 %, from 10 % only
        (12, 43, "weak"),
        (22, 43, "weak"),  # more than half, but not surely
        (27, 43, "weak"),
        (32, 43, "good"),
        (43, 43, "good"),
        (8, 8, "good"),
        (3, 8, "not enough evidence"),  # anything from guessing to good
        (7, 7, "not enough evidence"),  # fewer than 8 families
        (0, 1, "not enough evidence"),
    ],
)
def test_the_word_follows_from_the_count(right: int, asked: int, word: str) -> None:
    assert word_of(tally(right, asked)) == word


@given(st.integers(8, 200), st.data())
def test_more_right_answers_never_make_the_word_worse(asked: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, asked - 1))
    fewer, more = word_of(tally(right, asked)), word_of(tally(right + 1, asked))
    order = {"no better than guessing": 0, "not enough evidence": 1, "weak": 1, "good": 2}
    assert order[fewer] <= order[more]


def test_guessing_is_called_good_about_never() -> None:
    """Exact binomial: 43 answers, each right by the chance that the rule grants to guessing."""
    chance = {k: math.comb(43, k) * GUESSING**k * (1 - GUESSING) ** (43 - k) for k in range(44)}
    assert sum(p for k, p in chance.items() if word_of(tally(k)) == "good") < 1e-9
    better = ("good", "weak")
    assert sum(p for k, p in chance.items() if word_of(tally(k)) in better) < 0.035


def test_damage_comes_before_everything_that_answers_show() -> None:
    assert word_of(tally(43), damaged=True) == "damaged by compression"
    assert word_of(None, damaged=True) == "damaged by compression"


def test_a_higher_floor_makes_good_weak_and_none_makes_weak_good() -> None:
    assert word_of(tally(32), min_right=0.8) == "weak"
    assert word_of(tally(12), min_right=0.0) == "good"
    assert word_of(tally(2), min_right=0.0) == "no better than guessing"


def test_a_model_is_as_good_as_its_worst_language() -> None:
    assert worst(["good", "weak"]) == "weak"
    assert worst(["good", "no better than guessing", "not enough evidence"]) == (
        "no better than guessing"
    )
    assert worst([]) == "not enough evidence"
    assert set(MEANINGS) == set(WORDS)


def test_a_tally_is_told_in_counts() -> None:
    assert told(tally(2), "hi").startswith("2 of 43 right in Hindi (likely between 1% and ")
    assert told(None, "kn") == "no answer was read in Kannada"


def test_a_variant_that_was_not_asked_stands_by_what_it_was_made_from() -> None:
    parent = Candidate("m+lora", right={"hi": reading(30, 43), "kn": reading(2, 43)})
    parent.made_of = ("base", "adapter")
    variant = Candidate("m+lora/q4", kld={"hi": {"value": 0.1}}, right={})
    variant.variant = {"base": {"sha256": "base"}, "adapter": {"sha256": "adapter"}}
    found = answers(variant, [parent, variant])
    assert found["hi"].right == 30 and found["hi"].whose == "m+lora"
    assert "kn" not in found  # nothing was measured there that would let its answers stand
    variant.variant["adapter"] = None  # made from the model before tuning, which nobody asked
    assert answers(variant, [parent, variant]) == {}
    variant.right = {"hi": reading(1, 43)}
    assert answers(variant, [parent, variant])["hi"].right == 1


ROW: Mapping[str, Any] = {
    "artefact": "compress/0123", "ref": None, "adapter": None,
    "variant": {"base": {"label": "embedded:gemma-3-270m"}, "adapter": {"label": "gemma"}},
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_every_word_has_a_next_step_with_a_command(word: Any) -> None:
    for row in (ROW, None):
        steps = next_steps(word, row, ("hi", "kn"), max_file_bytes=200e6, nodes="runs/mine/nodes")
        assert steps or (word == "good" and row is None)
        for step in steps:
            assert step["what"] and all(c[0] == "seemant" for c in step["commands"])
    if word == "too big":
        commands = [c for step in next_steps(word, ROW, ("hi",), max_file_bytes=200e6)
                    for c in step["commands"]]  # fmt: skip
        assert commands[0][commands[0].index("--budget") :][:2] == ["--budget", "200MB"]


def test_commands_name_the_adapter_where_it_lies() -> None:
    steps = next_steps("damaged by compression", ROW, ("hi",), nodes="runs/mine/nodes")
    assert "runs/mine/nodes/gemma" in steps[0]["commands"][0]
