"""At which steps a run looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.train.alarm.schedule import FEWEST, MAX_SHARE, PASSES, schedule


def test_a_long_run_gets_all_its_checks_evenly() -> None:
    plan = schedule(1000, 20, check_tokens=4000, step_tokens=4000)
    assert plan.steps == tuple(range(50, 1001, 50))
    assert plan.share < MAX_SHARE


@given(st.integers(1, 5000), st.integers(1, 40), st.floats(100, 50_000), st.floats(50, 20_000))
def test_checks_keep_within_their_share_unless_there_would_be_too_few(
    total: int, checks: int, check_tokens: float, step_tokens: float
) -> None:
    plan = schedule(total, checks, check_tokens=check_tokens, step_tokens=step_tokens)
    assert 1 <= len(plan.steps) <= min(checks, total)
    assert plan.steps[-1] == total and plan.steps[0] >= 1
    assert list(plan.steps) == sorted(set(plan.steps))
    fewest = min(FEWEST, checks, total)
    assert plan.share <= MAX_SHARE + 1e-9 or len(plan.steps) == fewest


def test_one_check_more_would_be_too_many() -> None:
    plan = schedule(400, 40, check_tokens=4000, step_tokens=1000)
    more = schedule(400, len(plan.steps) + 1, check_tokens=4000, step_tokens=1000, max_share=None)
    assert plan.share <= MAX_SHARE < more.share


def test_without_a_limit_all_checks_are_made() -> None:
    plan = schedule(40, 10, check_tokens=10_000, step_tokens=100, max_share=None)
    assert plan.steps == tuple(range(4, 41, 4)) and plan.share == pytest.approx(
        110_000 / (110_000 + 40 * 100 * PASSES)
    )
