"""Multiple-choice knapsack: one option a group, least cost under a budget of bytes, with a proof.

    min sum_g c_{g,x(g)}   subject to   sum_g s_{g,x(g)} <= B

By dynamic programming over bytes, f_g(b) = min_x f_{g-1}(b - s_{g,x}) + c_{g,x}, in bins of the
greatest common divisor of all size differences: no rounding, so the answer is the optimum. Where
that would be too many bins, sizes are rounded up to larger ones: what is found still fits, and the
same program with sizes rounded down bounds what was missed. Beside it stands the Lagrangian bound

    max_{l >= 0}  sum_g min_x (c_{g,x} + l s_{g,x}) - l B      <=  optimum  <=  what was found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Sizes = Sequence[NDArray[np.int64]]
Costs = Sequence[NDArray[np.float64]]
MAX_BINS = 1 << 18
_STEPS = 80  # halvings of the multiplier's interval


@dataclass(frozen=True, slots=True)
class Solution:
    """A choice (an option's index a group) and what is proved of it.

    bound: no choice within the budget costs less. lagrangian: the weaker bound, for its own sake.
    """

    choice: tuple[int, ...]
    size: int
    cost: float
    bound: float
    lagrangian: float

    @property
    def gap(self) -> float:
        """How much less any other choice could cost, at most."""
        return max(0.0, self.cost - self.bound)


def solve(sizes: Sizes, costs: Costs, budget: int, *, max_bins: int = MAX_BINS) -> Solution | None:
    """Return the least cost within the budget; None: even the smallest options do not fit.

    sizes, costs: (options,) each, group by group; sizes whole bytes, costs >= 0.
    """
    if sum(int(s.min()) for s in sizes) > budget:
        return None
    plan = Plan.of(sizes, costs, budget, max_bins)
    choice = plan.choice(plan.capacity)
    cost = total(costs, choice)
    lagrangian = lagrangian_bound(sizes, costs, budget)
    bound = min(max(lagrangian, plan.bound()), cost)
    return Solution(choice, total_size(sizes, choice), cost, bound, lagrangian)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The filled table of one program: the best cost of every capacity, and how to get there.

    least: the bytes of the smallest options together; capacities count bins of `unit` above it.
    """

    sizes: Sizes
    costs: Costs
    least: int
    unit: int
    exact: bool
    values: NDArray[np.float64]
    picks: tuple[NDArray[np.int8], ...]
    bins: Sequence[NDArray[np.int64]]

    @classmethod
    def of(
        cls,
        sizes: Sizes,
        costs: Costs,
        budget: int,
        max_bins: int = MAX_BINS,
        *,
        down_to: int | None = None,
    ) -> "Plan":
        """Fill the table for capacities up to the budget.

        down_to: bins of this size, to which sizes are rounded down (a relaxation); None: exact, or
        rounded up.
        """
        least = sum(int(s.min()) for s in sizes)
        extra = [np.asarray(s, np.int64) - int(s.min()) for s in sizes]
        room = min(budget - least, sum(int(e.max()) for e in extra))
        unit = down_to or math.gcd(*(int(e) for each in extra for e in each)) or 1
        exact = down_to is None and room // unit <= max_bins
        if not exact and down_to is None:
            unit = -(-room // max_bins)
        bins = [-(-e // unit) if down_to is None else e // unit for e in extra]
        values = np.zeros(room // unit + 1)
        picks = []
        for each, cost in zip(bins, costs, strict=True):
            values, pick = _with(values, each, np.asarray(cost, np.float64))
            picks.append(pick)
        return cls(sizes, costs, least, unit, exact, values, tuple(picks), bins)

    @property
    def capacity(self) -> int:
        """The largest capacity, bins."""
        return len(self.values) - 1

    def best(self, capacity: int) -> float:
        """Return the least cost within a capacity."""
        return float(self.values[min(capacity, self.capacity)])

    def choice(self, capacity: int) -> tuple[int, ...]:
        """Return the choice of the least cost within a capacity."""
        found = []
        for each, pick in zip(reversed(self.bins), reversed(self.picks), strict=True):
            option = int(pick[capacity])
            found.append(option)
            capacity -= int(each[option])
        return tuple(reversed(found))

    def bound(self) -> float:
        """Return what no choice within the whole capacity can undercut."""
        return self.best(self.capacity) if self.exact else self.relaxed().best(self.capacity)

    def relaxed(self) -> "Plan":
        """Return the same program with sizes rounded down: its costs are bounds from below."""
        budget = self.least + (self.capacity + 1) * self.unit - 1
        return Plan.of(self.sizes, self.costs, budget, down_to=self.unit)


def lagrangian_bound(sizes: Sizes, costs: Costs, budget: int) -> float:
    """Return the best lower bound on the cost that one multiplier a byte gives."""
    starts = np.cumsum([0, *(len(s) for s in sizes[:-1])])
    size, cost = np.concatenate(sizes), np.concatenate(costs)

    def at(multiplier: float) -> tuple[float, bool]:
        """Return the bound of a multiplier, and whether the bytes of its answer are too many."""
        priced = cost + multiplier * size
        least = np.minimum.reduceat(priced, starts)
        value = float(least.sum()) - multiplier * budget
        chosen = np.where(priced <= np.repeat(least, np.diff([*starts, len(size)])), size, np.inf)
        return value, float(np.minimum.reduceat(chosen, starts).sum()) > budget

    best, too_many = at(0.0)
    if not too_many:
        return best
    low, high = 0.0, float(np.ptp(cost)) * len(sizes) + 1.0  # a byte dearer than all costs
    for _ in range(_STEPS):
        middle = (low + high) / 2
        value, too_many = at(middle)
        best = max(best, value)
        low, high = (middle, high) if too_many else (low, middle)
    return best


def total(costs: Costs, choice: Sequence[int]) -> float:
    """Return the cost of a choice."""
    return math.fsum(float(c[i]) for c, i in zip(costs, choice, strict=True))


def total_size(sizes: Sizes, choice: Sequence[int]) -> int:
    """Return the bytes of a choice."""
    return sum(int(s[i]) for s, i in zip(sizes, choice, strict=True))


def _with(
    values: NDArray[np.float64], bins: NDArray[np.int64], costs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return the table after one more group, and each capacity's option."""
    best = np.full(len(values), np.inf)
    pick = np.zeros(len(values), np.int8)
    for option in np.argsort(bins, kind="stable"):  # of equal costs the smaller option stays
        shift = int(bins[option])
        if shift >= len(values):
            continue
        found = values[: len(values) - shift] + costs[option]
        better = found < best[shift:]
        best[shift:][better] = found[better]
        pick[shift:][better] = option
    return best, pick
