"""Two questions to a cost table: the best under so many bytes, and the fewest under a damage.

Bytes are those of the whole file. "worst" minds the language that loses most; weights a language
mind their mean. The two answers differ, as languages break at different tensors.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seemant.compress.search.knapsack import Solution, solve
from seemant.compress.search.table import Table, View
from seemant.compress.search.worst import smallest_under, solve_worst
from seemant.core.errors import BadConfig, nearest
from seemant.formats.tensor_format import F16

Floats = NDArray[np.float64]
Objective = Literal["worst"] | Mapping[str, float]
_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmg]i?b|b?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A format for every group, and what is known of it before it is measured.

    n_bytes: of the whole file. kld: predicted by adding, nats a token by language. proved: the
    objective can be no better than this by the table's costs ("best": nats; "fewest": bytes);
    lagrangian: the same by one multiplier alone.
    """

    formats: Mapping[str, str]
    tensors: Mapping[str, str]
    n_bytes: int
    kld: Mapping[str, float]
    objective: float
    proved: float
    lagrangian: float

    @property
    def gap(self) -> float:
        """What another choice could gain at most, in the objective's unit."""
        return max(0.0, self.objective - self.proved)


def best_under(
    table: Table,
    budget: int,
    *,
    fixed: int = 0,
    objective: Objective = "worst",
    view: View = "alone",
    factors: Mapping[str, float] | None = None,
) -> Allocation:
    """Return the least damage of a file of at most `budget` bytes.

    fixed: bytes of the file that no choice changes (`groups.fixed_bytes`).

    Raises:
        BadConfig: no choice is that small; says the smallest.
    """
    sizes, costs = table.sizes(), _costs(table, objective, view, factors)
    if costs[0].shape[1] == 1:
        found = solve(sizes, [c[:, 0] for c in costs], budget - fixed)
    else:
        found = solve_worst(sizes, costs, budget - fixed)
    if found is None:
        least = fixed + sum(int(s.min()) for s in sizes)
        raise BadConfig(
            f"no file of this model is as small as {budget:,} bytes",
            where="budget",
            fix=f"the smallest with this menu has {least:,} bytes ({least / 1e6:.1f} MB); "
            "trimming the vocabulary or another menu gives smaller ones",
        )
    return _allocation(table, found, fixed, view, factors)


def fewest_under(
    table: Table,
    divergence: float,
    *,
    fixed: int = 0,
    objective: Objective = "worst",
    view: View = "alone",
    factors: Mapping[str, float] | None = None,
) -> Allocation:
    """Return the smallest file whose predicted damage (worst or mean) is at most `divergence`.

    Raises:
        BadConfig: no choice is that good; says the best.
    """
    sizes, costs = table.sizes(), _costs(table, objective, view, factors)
    found = smallest_under(sizes, costs, divergence)
    if found is None:
        best = float(np.sum([c[c.max(1).argmin()] for c in costs], axis=0).max())
        raise BadConfig(
            f"no choice of formats is predicted to stay within {divergence:g} nats a token",
            where="divergence",
            fix=f"the best is predicted at {best:.4g}; {or_finer(table)}",
        )
    return _allocation(table, found, fixed, view, factors, add_fixed=True)


def or_finer(table: Table) -> str:
    """Return what to do where no file of a table is good enough: f16 is the finest there is."""
    if any(row.format == F16 for row in table.alone):
        return "allow more: the menu has f16 already, and no file here is finer"
    return "allow more, or add f16 to the menu"


def parse_size(text: str) -> int:
    """Return the bytes of "240MB", "0.24 GB", "229MiB" or "240000000".

    Raises:
        BadConfig: not a size.
    """
    match = _SIZE.fullmatch(text)
    unit = match[2].lower().removesuffix("b") if match else ""
    bytes_ = round(float(match[1]) * _UNITS[unit + "b" if unit else ""]) if match else 0
    if bytes_ < 1:
        raise BadConfig(f"{text!r} is no size of a file", where="budget", fix="write 240MB, say")
    return bytes_


def _costs(
    table: Table, objective: Objective, view: View, factors: Mapping[str, float] | None
) -> list[Floats]:
    """Return (options, languages) a group; with weights one column, their mean."""
    costs = table.costs(view, factors)
    if isinstance(objective, str):
        return costs
    if strange := set(objective) - set(table.languages):
        raise BadConfig(
            f"the table has no language {min(strange)!r}",
            where="weights",
            fix=nearest(min(strange), table.languages),
        )
    weights = np.array([max(objective.get(lang, 0.0), 0.0) for lang in table.languages])
    if not weights.sum():
        raise BadConfig("all weights are 0", where="weights", fix="give a language a weight")
    return [(c @ (weights / weights.sum()))[:, None] for c in costs]


def _allocation(
    table: Table,
    found: Solution,
    fixed: int,
    view: View,
    factors: Mapping[str, float] | None,
    *,
    add_fixed: bool = False,
) -> Allocation:
    formats = table.formats(found.choice)
    more = fixed if add_fixed else 0
    return Allocation(
        formats=formats,
        tensors=table.by_tensor(formats),
        n_bytes=found.size + fixed,
        kld=predicted(table, found.choice, view, factors),
        objective=found.cost + more,
        proved=found.bound + more,
        lagrangian=found.lagrangian + more,
    )


def predicted(
    table: Table,
    choice: Sequence[int],
    view: View = "alone",
    factors: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Return the added costs of a choice by language, nats a token."""
    rows = [c[i] for c, i in zip(table.costs(view, factors), choice, strict=True)]
    return dict(zip(table.languages, np.sum(rows, axis=0).tolist(), strict=True))
