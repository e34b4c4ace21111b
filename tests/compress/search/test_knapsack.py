"""The solver against every combination of six groups, and its bounds."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.compress.search.knapsack import lagrangian_bound, solve, total, total_size
from seemant.compress.search.worst import smallest_under, solve_worst

Problem = tuple[list[np.ndarray], list[np.ndarray]]


@st.composite
def problems(draw: st.DrawFn, groups: int = 6, languages: int = 1) -> Problem:
    sizes, costs = [], []
    for _ in range(groups):
        n = draw(st.integers(1, 3))
        sizes.append(np.array(draw(st.lists(st.integers(1, 60), min_size=n, max_size=n))))
        numbers = st.lists(st.integers(0, 999), min_size=n * languages, max_size=n * languages)
        costs.append(np.array(draw(numbers)).reshape(n, languages) / 1000)
    return sizes, costs


def everything(sizes: list[np.ndarray], costs: list[np.ndarray]) -> list[tuple[int, float]]:
    """(bytes, worst cost) of every choice."""
    return [
        (
            total_size(sizes, choice),
            float(sum(c[i] for c, i in zip(costs, choice, strict=True)).max()),
        )
        for choice in product(*(range(len(s)) for s in sizes))
    ]


@settings(max_examples=40)
@given(problems(), st.integers(6, 300), st.sampled_from([1 << 18, 7]))
def test_the_answer_equals_brute_force_and_bounds_hold(
    problem: Problem, budget: int, bins: int
) -> None:
    sizes, costs = problem
    flat = [c[:, 0] for c in costs]
    fitting = [cost for size, cost in everything(sizes, costs) if size <= budget]
    found = solve(sizes, flat, budget, max_bins=bins)
    if not fitting:
        assert found is None
        return
    assert found is not None
    best = min(fitting)
    assert found.size == total_size(sizes, found.choice) <= budget
    assert abs(found.cost - total(flat, found.choice)) < 1e-12
    assert found.lagrangian <= best + 1e-9 and found.bound <= best + 1e-9 <= found.cost + 2e-9
    if bins > 300:
        assert abs(found.cost - best) < 1e-9 and found.gap == 0
    assert lagrangian_bound(sizes, flat, budget) <= best + 1e-9


@settings(max_examples=25)
@given(problems(groups=5, languages=3), st.integers(6, 250))
def test_the_worst_language_lies_between_its_bound_and_its_answer(
    problem: Problem, budget: int
) -> None:
    sizes, costs = problem
    fitting = [cost for size, cost in everything(sizes, costs) if size <= budget]
    found = solve_worst(sizes, costs, budget, rounds=10)
    if not fitting:
        assert found is None
        return
    assert found is not None and found.size <= budget
    assert found.bound <= min(fitting) + 1e-9 <= found.cost + 2e-9


@settings(max_examples=25)
@given(problems(groups=5, languages=1), st.floats(0.01, 4))
def test_fewest_bytes_equal_brute_force(problem: Problem, limit: float) -> None:
    sizes, costs = problem
    good = [size for size, cost in everything(sizes, costs) if cost <= limit]
    found = smallest_under(sizes, costs, limit)
    if not good:
        assert found is None
        return
    assert found is not None and found.size == min(good) == found.bound
    assert found.lagrangian <= min(good) + 1e-6


@settings(max_examples=30)
@given(problems(groups=5, languages=2), st.floats(0.01, 4))
def test_fewest_bytes_under_the_worst_language_keep_the_limit(
    problem: Problem, limit: float
) -> None:
    sizes, costs = problem
    good = [size for size, cost in everything(sizes, costs) if cost <= limit]
    found = smallest_under(sizes, costs, limit, rounds=10)
    if found is not None:
        assert found.bound <= min(good) <= found.size
        sums = sum(c[i] for c, i in zip(costs, found.choice, strict=True))
        assert sums.max() <= limit * (1 + 1e-9)


def test_many_tensors_are_solved_close_to_the_bound() -> None:
    generator = np.random.default_rng(0)
    sizes = [np.array([18, 22, 34, 64]) * 1024 * int(generator.integers(1, 9)) for _ in range(60)]
    costs = [
        generator.exponential(0.01, (1, 3)) * np.array([[1.0], [0.25], [0.004], [0]]) for _ in sizes
    ]
    budget = int(1.3 * sum(s.min() for s in sizes))
    found = solve_worst(sizes, costs, budget)
    assert found is not None and found.size <= budget
    assert found.gap <= 0.05 * found.cost
