"""The non-dominated set against its definition, written as plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seemant.frontier.dominance import dominates, non_dominated

# Few distinct values, so that ties and equal candidates are common; -inf is "not carried".
VALUES = st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0])
POINTS = st.tuples(st.integers(1, 7), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=VALUES)
)


def brute_force(points: np.ndarray) -> list[bool]:
    kept = []
    for b in range(len(points)):
        beaten = False
        for a in range(len(points)):
            nowhere_worse, somewhere_better = True, False
            for x, y in zip(points[a], points[b], strict=True):
                if x < y:
                    nowhere_worse = False
                if x > y:
                    somewhere_better = True
            beaten = beaten or (nowhere_worse and somewhere_better)
        kept.append(not beaten)
    return kept


@given(POINTS)
def test_the_set_is_that_of_the_definition(points: np.ndarray) -> None:
    assert non_dominated(points).tolist() == brute_force(points)


@given(POINTS, st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing(points: np.ndarray, random) -> None:
    order = list(range(len(points)))
    random.shuffle(order)
    assert non_dominated(points[order]).tolist() == non_dominated(points)[order].tolist()


@given(POINTS, st.integers(0, 6))
def test_a_dominated_candidate_more_changes_nothing(points: np.ndarray, which: int) -> None:
    worse = points[which % len(points)] - 1.0
    worse = np.where(np.isneginf(worse), -np.inf, worse)
    more = np.vstack([points, worse])
    if non_dominated(more)[-1]:  # all its values were -inf already: an equal, not a worse one
        return
    assert non_dominated(more)[:-1].tolist() == non_dominated(points).tolist()


@given(POINTS)
def test_somebody_is_always_left(points: np.ndarray) -> None:
    assert non_dominated(points).any()


def test_equal_candidates_both_stay() -> None:
    assert non_dominated(np.array([[1.0, 2.0], [1.0, 2.0]])).tolist() == [True, True]


def test_a_language_not_carried_is_the_worst_quality() -> None:
    both, hindi_only = [0.1, 0.1, -300.0], [0.1, -np.inf, -300.0]
    assert dominates(np.array([both, hindi_only])).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_leading_dimensions_are_independent(leading: tuple[int, ...]) -> None:
    points = np.random.default_rng(0).integers(0, 3, size=(*leading, 4, 2)).astype(float)
    got = dominates(points).reshape(-1, 4, 4)
    for each, expected in zip(got, points.reshape(-1, 4, 2), strict=True):
        assert each.tolist() == dominates(expected).tolist()
