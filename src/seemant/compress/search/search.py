"""A search from table to measured answer: solve, measure, learn how damages add, solve again."""

from collections.abc import Mapping
from dataclasses import dataclass

from seemant.compress.search.budget import Allocation, Objective, best_under, fewest_under, or_finer
from seemant.compress.search.measure import Bench
from seemant.compress.search.predict import Interaction, fit_interaction, random_mixes
from seemant.compress.search.table import Table
from seemant.core.errors import BadConfig

N_MIXES = 20

Met = tuple[float, Allocation, dict[str, float]]
"""What was measured of a file, as the objective weighs it; the file; by language."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The answer. kld: of the answer as measured; allocation.kld: as predicted.

    interaction: what random mixes taught; None: none were measured. tried: how many allocations
    were measured to come here.
    """

    allocation: Allocation
    kld: Mapping[str, float]
    interaction: Interaction | None
    tried: int

    @property
    def worst(self) -> float:
        """The measured damage of the language that loses most."""
        return max(self.kld.values())


def search_best(
    bench: Bench,
    table: Table,
    budget: int,
    *,
    fixed: int = 0,
    objective: Objective = "worst",
    mixes: int = N_MIXES,
    seed: int = 0,
) -> Searched:
    """Return the best measured file of at most `budget` bytes.

    The table's answers alone, in company and with the fitted factors are all measured: the best
    wins, so a table that predicts badly costs quality, never honesty.

    Raises:
        BadConfig: no file is that small; says the smallest.
    """
    interaction = learnt(bench, table, mixes, seed)
    factors = interaction.factors if interaction else None
    answers = [best_under(table, budget, fixed=fixed, objective=objective)]
    if table.company:
        answers.append(best_under(table, budget, fixed=fixed, objective=objective, view="company"))
    if factors:
        answers.append(best_under(table, budget, fixed=fixed, objective=objective, factors=factors))
    measured = [(bench.kld(answer.formats), answer) for answer in answers]
    kld, found = min(measured, key=lambda pair: _value(pair[0], objective))
    return Searched(found, kld, interaction, len(measured))


def search_fewest(
    bench: Bench,
    table: Table,
    divergence: float,
    *,
    fixed: int = 0,
    objective: Objective = "worst",
    mixes: int = N_MIXES,
    seed: int = 0,
    rounds: int = 6,
) -> Searched:
    """Return the smallest file met whose *measured* damage is at most `divergence`.

    The limit given to the table is moved by what was measured, at most `rounds` times.

    Raises:
        BadConfig: no choice is predicted that good, or none that was measured is; says the best.
    """
    interaction = learnt(bench, table, mixes, seed)
    met: list[Met] = []
    good: list[Met] = []
    refused: BadConfig | None = None
    for factors in [interaction.factors, None] if interaction else [None]:
        if good:
            break  # the plain table is asked where the fitted factors led nowhere
        try:
            met += _followed(bench, table, divergence, fixed, objective, factors, rounds)
        except BadConfig as error:
            refused = error
        good = [each for each in met if each[0] <= divergence]
    if refused and not met:
        raise refused
    if not good:
        value, found, _ = min(met, key=lambda each: each[0])
        raise BadConfig(
            f"none of {len(met)} files that the table offers keeps {divergence:g} nats a token",
            where="divergence",
            fix=f"the best measured {value:.4g} at {found.n_bytes:,} bytes; {or_finer(table)}",
        )
    _, answer, kld = min(good, key=lambda each: each[1].n_bytes)
    return Searched(answer, kld, interaction, len(met))


def _followed(
    bench: Bench,
    table: Table,
    divergence: float,
    fixed: int,
    objective: Objective,
    factors: Mapping[str, float] | None,
    rounds: int,
) -> list[Met]:
    """Return the files that were measured on the way to `divergence`.

    Raises:
        BadConfig: the table has no file that good.
    """
    limit = divergence
    met: list[Met] = []
    for _ in range(rounds):
        try:
            found = fewest_under(table, limit, fixed=fixed, objective=objective, factors=factors)
        except BadConfig:
            if not met:
                raise
            break  # the limit was lowered below what the menu can do
        again = bool(met) and found.formats == met[-1][1].formats
        if again and met[-1][0] <= divergence:
            break
        if not again:
            kld = bench.kld(found.formats)
            met.append((_value(kld, objective), found, kld))
        off = divergence / met[-1][0] if met[-1][0] > 0 else 2.0
        limit *= min(max(off, 0.5), 0.9 if again else 2.0)
    return met


def learnt(bench: Bench, table: Table, mixes: int, seed: int) -> Interaction | None:
    """Return what so many random mixes teach; None for fewer than 3.

    A mix that changes nothing (f16 of weights that were f16) has no damage to predict.
    """
    if mixes < 3:
        return None
    measured = [(mix, bench.kld(mix)) for mix in random_mixes(table, mixes, seed=seed)]
    told = [(mix, kld) for mix, kld in measured if min(kld.values()) > 0]
    if len(told) < 3:
        return None
    return fit_interaction(table, [mix for mix, _ in told], [kld for _, kld in told])


def _value(kld: Mapping[str, float], objective: Objective) -> float:
    if isinstance(objective, str):
        return max(kld.values())
    whole = sum(objective.get(lang, 0.0) for lang in kld)
    return sum(objective.get(lang, 0.0) * value for lang, value in kld.items()) / whole
