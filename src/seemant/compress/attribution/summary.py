"""What the cells say together: interaction, structure, explanations, language effects."""

import itertools
from collections.abc import Sequence

import numpy as np

from seemant.compress.attribution.cells import ALL, EMBEDDING, LAYER, OUTPUT, Cell
from seemant.compress.attribution.explain import NUMERIC, Columns
from seemant.compress.attribution.statistics import additive, spearman
from seemant.compress.attribution.table import Sums, as_damage, drawn_for, layers_of
from seemant.compress.attribution.text import Text
from seemant.core.measurement import MIN_CLUSTERS
from seemant.core.records import Lang, Record
from seemant.core.seeds import rng
from seemant.stats.bootstrap import Floats, expanded_ends, ratio

_FLOOR = 1e-12  # nats a byte: the log of no damage at all
_EXPLAIN_DRAWS = 2000


class Ratio(Record):
    """A ratio of two sums of damage with its paired interval."""

    lang: Lang
    value: float
    low: float | None
    high: float | None


class Explanation(Record):
    """How a column goes with what layers cost alone, over layers: Spearman's rho."""

    column: str
    lang: Lang
    rho: float
    low: float
    high: float
    n_layers: int


class LanguageEffect(Record):
    """How much more a layer costs in one language than in another, per byte, log-ratio shrunk.

    overall: the ratio that all layers share, with its interval over the chunks of both languages.
    ratio: this layer's after shrinkage, raw: before.
    """

    layer: int
    first: Lang
    second: Lang
    overall: float
    low: float | None
    high: float | None
    ratio: float
    raw: float


class Summary(Record):
    """`reading.json` less its sentences.

    interaction: KLD(all) over the sum of what parts cost alone: above 1, errors compound.
    structure: what the true errors cost over their noise twins, by twin.
    """

    interaction: list[Ratio]
    structure: dict[str, list[Ratio]]
    explanations: list[Explanation]
    language_effects: list[LanguageEffect]


def summarise(sums: Sums, columns: Sequence[Columns], text: Text, seed: int) -> Summary:
    """Return what the cells say together. sums: KLD sums of every chunk, by cell."""
    lost = as_damage(sums)
    return Summary(
        interaction=_interaction(lost, text, seed),
        structure={how: _structure(lost, how, text, seed) for how in ("noise", "permuted")},
        explanations=_explanations(lost, columns, text, seed),
        language_effects=_language_effects(lost, text, seed),
    )


def _interaction(lost: Sums, text: Text, seed: int) -> list[Ratio]:
    outside = [Cell(None, site, "insert") for site in (EMBEDDING, OUTPUT)]
    parts = [*layers_of(lost, "insert"), *(cell for cell in outside if cell in lost)]
    together = np.sum([lost[cell] for cell in parts], axis=0)
    return _ratios(lost[Cell(None, ALL, "all")], together, text, seed)


def _structure(lost: Sums, how: str, text: Text, seed: int) -> list[Ratio]:
    twins = [c for c in lost if c.how == how and c.site == LAYER]
    if not twins:
        return []
    true = np.sum([lost[Cell(c.layer, LAYER, "insert")] for c in twins], axis=0)
    return _ratios(true, np.sum([lost[c] for c in twins], axis=0), text, seed)


def _ratios(over: Floats, under: Floats, text: Text, seed: int) -> list[Ratio]:
    found = []
    for lang in text.languages:
        own = text.chunks_of(lang)
        if under[own].sum() > 0:
            each = ratio(over[own], under[own], drawn_for(text, lang, seed))
            found.append(Ratio(lang=lang, value=each.value, low=each.low, high=each.high))
    return found


def _explanations(
    lost: Sums, columns: Sequence[Columns], text: Text, seed: int
) -> list[Explanation]:
    cells = layers_of(lost, "insert")
    found = []
    for lang in text.languages:
        own = text.chunks_of(lang)
        stacked = np.stack([lost[cell][own] for cell in cells])
        drawn = drawn_for(text, lang, seed)[:_EXPLAIN_DRAWS]
        rows = {row.layer: row for row in columns if row.lang == lang}
        for name in NUMERIC:
            values = [getattr(rows[cell.layer], name) for cell in cells if cell.layer in rows]
            if len(values) != len(cells) or None in values:
                continue
            given = np.array(values, np.float64)
            stream = rng(seed, "explain", name, lang)
            each = spearman(given, stacked, text.n_bytes[own], drawn, stream)
            if each.rho is not None and each.low is not None and each.high is not None:
                found.append(
                    Explanation(
                        column=name,
                        lang=lang,
                        rho=each.rho,
                        low=each.low,
                        high=each.high,
                        n_layers=each.n,
                    )
                )
    return found


def _language_effects(lost: Sums, text: Text, seed: int) -> list[LanguageEffect]:
    cells, languages = layers_of(lost, "insert"), text.languages
    if len(cells) < 2 or len(languages) < 2:
        return []
    logs = np.empty((len(cells), len(languages)))
    variances = np.empty_like(logs)
    means: list[Floats] = []  # over layers, by draw
    for column, lang in enumerate(languages):
        own = text.chunks_of(lang)
        n_bytes, drawn = text.n_bytes[own], drawn_for(text, lang, seed)
        stacked = np.stack([lost[cell][own] for cell in cells])
        resampled = (drawn @ stacked.T) / (drawn @ n_bytes)[:, None]
        logs[:, column] = np.log(np.maximum(stacked.sum(1) / n_bytes.sum(), _FLOOR))
        redrawn = np.log(np.maximum(resampled, _FLOOR))
        variances[:, column] = redrawn.var(0)
        means.append(redrawn.mean(1))
    fitted = additive(logs, variances)
    found = []
    for one, other in itertools.combinations(range(len(languages)), 2):
        ratios = np.exp(fitted.log_ratio(one, other))
        overall = float(np.exp(fitted.language[one] - fitted.language[other]))
        fewest = min(len(text.chunks_of(languages[each])) for each in (one, other))
        low = high = None
        if fewest >= MIN_CLUSTERS:
            low, high = expanded_ends(overall, np.exp(means[one] - means[other]), fewest)
        raw = np.exp(logs[:, one] - logs[:, other])
        found += [
            LanguageEffect(
                layer=cell.layer or 0,
                first=languages[one],
                second=languages[other],
                overall=overall,
                low=low,
                high=high,
                ratio=float(ratios[index]),
                raw=float(raw[index]),
            )
            for index, cell in enumerate(cells)
        ]
    return found
