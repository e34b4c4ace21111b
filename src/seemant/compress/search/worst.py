"""The same choice when what counts is the language that loses most.

    min_x max_k sum_g c_{g,x(g),k}          over choices within the budget

For any weights w >= 0 of the languages that sum to 1, the plain knapsack with costs w.c bounds it
from below, as a mean is at most a maximum. The weights are raised where the current answer hurts
(multiplicative updates, Arora, Hazan and Kale 2012); the best answer met and the best bound are
kept, and single exchanges between groups repair the answer. The gap between the two is reported:
languages pull in different directions, so it need not close.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.compress.search.knapsack import (
    MAX_BINS,
    Plan,
    Sizes,
    Solution,
    lagrangian_bound,
    total_size,
)

Floats = NDArray[np.float64]
ROUNDS = 40
_RATE = 2.0


def solve_worst(
    sizes: Sizes,
    costs: Sequence[Floats],
    budget: int,
    *,
    rounds: int = ROUNDS,
    max_bins: int = MAX_BINS,
) -> Solution | None:
    """Return the least worst cost within the budget; costs (options, languages), group by group.

    None: even the smallest options do not fit.
    """
    if sum(int(s.min()) for s in sizes) > budget:
        return None
    best: tuple[int, ...] = ()
    cost, bound, weights = np.inf, -np.inf, _uniform(costs)
    tightest = weights
    for _ in range(rounds):
        plan = Plan.of(sizes, [c @ weights for c in costs], budget, max_bins)
        if plan.bound() > bound:
            bound, tightest = plan.bound(), weights
        choice = plan.choice(plan.capacity)
        by_language = _sums(costs, choice)
        if by_language.max() < cost:
            best = _repaired(sizes, costs, choice, budget)
            cost = float(_sums(costs, best).max())
        if cost - bound <= 1e-12:
            break
        weights = _raised(weights, by_language)
    lagrangian = lagrangian_bound(sizes, [c @ tightest for c in costs], budget)
    return Solution(best, total_size(sizes, best), cost, min(bound, cost), lagrangian)


def smallest_under(
    sizes: Sizes,
    costs: Sequence[Floats],
    limit: float,
    *,
    rounds: int = ROUNDS,
    max_bins: int = MAX_BINS,
) -> Solution | None:
    """Return the fewest bytes at which every column of costs stays within the limit.

    cost, bound and lagrangian of the answer are bytes: no choice under the limit is smaller than
    `bound`. One column is the plain problem, and solved exactly. None: no choice is good enough.
    """
    largest = sum(int(s.max()) for s in sizes)
    finest = tuple(int(c.max(1).argmin()) for c in costs)
    best = finest if _within(costs, finest, limit) else None
    bound, weights = 0.0, _uniform(costs)
    tightest = weights
    for _ in range(rounds if costs[0].shape[1] > 1 else 1):
        mixed = [c @ weights for c in costs]
        plan = Plan.of(sizes, mixed, largest, max_bins)
        under = plan if plan.exact else plan.relaxed()
        enough = np.flatnonzero(under.values <= limit * (1 + 1e-12))
        if not len(enough):
            return None
        if under.least + int(enough[0]) * under.unit > bound:
            bound, tightest = float(under.least + int(enough[0]) * under.unit), weights
        choice = _first_good(plan, costs, limit)
        if choice is not None and (
            best is None or total_size(sizes, choice) < total_size(sizes, best)
        ):
            best = choice
        if best is not None and total_size(sizes, best) <= bound:
            break
        weights = _raised(weights, _sums(costs, plan.choice(int(enough[0]))))
    if best is None:
        return None
    size = total_size(sizes, best)
    lagrangian = _by_bytes([c @ tightest for c in costs], sizes, limit)
    return Solution(best, size, float(size), min(bound, float(size)), lagrangian)


def _by_bytes(costs: Sequence[Floats], sizes: Sizes, limit: float) -> float:
    """Return the Lagrangian bound in bytes: cost and size have changed their roles."""
    scale = max(float(c.max()) for c in costs) or 1.0  # costs as large whole numbers
    whole = [np.floor(c / scale * 1e12).astype(np.int64) for c in costs]
    as_costs = [s.astype(np.float64) for s in sizes]
    return lagrangian_bound(whole, as_costs, int(np.ceil(limit / scale * 1e12)))


def _first_good(plan: Plan, costs: Sequence[Floats], limit: float) -> tuple[int, ...] | None:
    """Return the smallest of a plan's choices that is within the limit everywhere."""
    steps = np.flatnonzero(np.diff(plan.values, prepend=np.inf) < 0)  # where the choice improves
    low, high = 0, len(steps) - 1
    choice = plan.choice(int(steps[high]))
    if not _within(costs, choice, limit):
        return None
    while low < high:  # damage falls with bytes, by and large: halve
        middle = (low + high) // 2
        candidate = plan.choice(int(steps[middle]))
        if _within(costs, candidate, limit):
            choice, high = candidate, middle
        else:
            low = middle + 1
    return choice


def _within(costs: Sequence[Floats], choice: Sequence[int], limit: float) -> bool:
    return bool(_sums(costs, choice).max() <= limit * (1 + 1e-12))


def _repaired(
    sizes: Sizes, costs: Sequence[Floats], choice: Sequence[int], budget: int
) -> tuple[int, ...]:
    """Return the choice after every exchange of one or two groups that lowers the worst cost."""
    found, size = list(choice), total_size(sizes, choice)
    sums = _sums(costs, found)
    for _ in range(len(found)):
        for changes in _exchanges(sizes, found):
            new_size = size + sum(int(sizes[g][o] - sizes[g][found[g]]) for g, o in changes)
            if new_size > budget:
                continue
            new = sums + sum(costs[g][o] - costs[g][found[g]] for g, o in changes)
            if new.max() < sums.max() - 1e-12:
                for g, o in changes:
                    found[g] = o
                sums, size = new, new_size
                break
        else:
            break
    return tuple(found)


def _exchanges(sizes: Sizes, choice: Sequence[int]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield moves of one group, then of two (only of few groups: they are many)."""
    singles = [(g, o) for g, s in enumerate(sizes) for o in range(len(s)) if o != choice[g]]
    yield from ((each,) for each in singles)
    if len(sizes) <= 24:
        yield from ((a, b) for i, a in enumerate(singles) for b in singles[:i] if a[0] != b[0])


def _raised(weights: Floats, by_language: Floats) -> Floats:
    top = by_language.max()
    if top <= 0:
        return weights
    raised = weights * np.exp(_RATE * (by_language / top - 1))
    raised = np.maximum(raised, 1e-9)
    return np.asarray(raised / raised.sum())


def _uniform(costs: Sequence[Floats]) -> Floats:
    n = costs[0].shape[1]
    return np.full(n, 1 / n)


def _sums(costs: Sequence[Floats], choice: Sequence[int]) -> Floats:
    return np.asarray(sum(c[i] for c, i in zip(costs, choice, strict=True)))
