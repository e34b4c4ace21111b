"""The margins, on numbers worked out by hand, and their expectation under ignorance."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.probe.likelihood import AnswerNats, margins

NATS = st.floats(-60, 0)
ANSWERS = st.lists(
    st.builds(AnswerNats, st.just("a"), NATS, NATS, st.integers(1, 30)), min_size=2, max_size=5
)


def test_the_margins_are_those_of_the_equations() -> None:
    gold = AnswerNats("Paris", given=-2.0, null=-7.0, n_bytes=5)
    wrong = (
        AnswerNats("Lyon", given=-8.0, null=-6.0, n_bytes=4),
        AnswerNats("Nice", given=-4.0, null=-6.0, n_bytes=4),
    )
    found = margins(gold, wrong)
    assert found.contrast == pytest.approx(-2 / 5 - (-8 / 4 - 4 / 4) / 2)
    assert found.pmi == pytest.approx((-2 + 7) / 5 - ((-8 + 6) / 4 + (-4 + 6) / 4) / 2)
    assert found.choice


@given(ANSWERS)
def test_a_model_that_knows_nothing_has_mean_margin_zero(answers: list[AnswerNats]) -> None:
    """Where gold and distractors are exchangeable, the margins average to exactly 0."""
    found = [
        margins(gold, [d for d in answers if d is not gold])
        for gold in answers
        if sum(d is not gold for d in answers)
    ]
    scale = 1e-9 * max(1.0, *(abs(m.pmi) + abs(m.contrast) for m in found))
    assert math.fsum(m.pmi for m in found) == pytest.approx(0.0, abs=scale)
    assert math.fsum(m.contrast for m in found) == pytest.approx(0.0, abs=scale)


@given(ANSWERS, st.floats(-5, 5))
def test_a_prior_for_an_answers_text_leaves_the_pmi_margin(
    answers: list[AnswerNats], shift: float
) -> None:
    """Making one distractor's text likelier with and without the question changes nothing."""
    gold, first, *rest = answers
    moved = AnswerNats("m", first.given + shift, first.null + shift, first.n_bytes)
    before, after = margins(gold, [first, *rest]), margins(gold, [moved, *rest])
    assert after.pmi == pytest.approx(before.pmi, abs=1e-9)


def test_the_choice_needs_every_distractor_beaten() -> None:
    answers = [AnswerNats(str(pmi), given=float(pmi), null=0.0, n_bytes=1) for pmi in (1, 2, 3)]
    for gold, *wrong in itertools.permutations(answers):
        assert margins(gold, wrong).choice == (gold.given == 3)
