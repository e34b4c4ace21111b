"""The damage map as rows: every cell in every language with its interval and its verdict."""

from collections.abc import Mapping, Sequence

import numpy as np

from seemant.compress.attribution.cells import ALL, LAYER, Cell, Damage, How
from seemant.compress.attribution.statistics import against_the_median
from seemant.compress.attribution.text import Text
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.stats.bootstrap import Floats, draws, ratio

Sums = Mapping[Cell, Floats]
"""KLD sums of every chunk (chunks,), by cell."""


def damage_table(sums: Sums, text: Text, seed: int) -> list[Damage]:
    """Return a row a cell and language. sums: KLD of the whole intervention, also for "remove"."""
    lost = as_damage(sums)
    found = [
        _row(cell, lang, values, text, drawn_for(text, lang, seed))
        for cell, values in lost.items()
        for lang in text.languages
    ]
    adjusted = _verdicts(lost, text, seed)
    return [
        row.model_copy(update={"q": adjusted.get((row.layer, row.site, row.how, row.lang))})
        for row in found
    ]


def as_damage(sums: Sums) -> dict[Cell, Floats]:
    """Return what each cell costs; for "remove", KLD(all) less KLD(all but it)."""
    everything = sums[Cell(None, ALL, "all")]
    return {c: everything - each if c.how == "remove" else each for c, each in sums.items()}


def drawn_for(text: Text, lang: Lang, seed: int) -> Floats:
    """Return the draws of a language's chunks, the same for every cell."""
    return draws(len(text.chunks_of(lang)), rng(seed, "attribution", lang))


def layers_of(lost: Sums, how: How, site: str = LAYER) -> list[Cell]:
    """Return the cells of single layers, in order."""
    found = [c for c in lost if c.layer is not None and c.site == site and c.how == how]
    return sorted(found, key=lambda cell: cell.layer or 0)


def _row(cell: Cell, lang: Lang, values: Floats, text: Text, drawn: Floats) -> Damage:
    own = text.chunks_of(lang)
    by_token = ratio(values[own], text.n_tokens[own], drawn)
    by_byte = ratio(values[own], text.n_bytes[own], drawn)
    return Damage(
        layer=cell.layer,
        site=cell.site,
        how=cell.how,
        lang=lang,
        kld=by_token.value,
        low=by_token.low,
        high=by_token.high,
        per_byte=by_byte.value,
        per_byte_low=by_byte.low,
        per_byte_high=by_byte.high,
        method=by_token.method,
        n=by_token.n,
        n_bytes=by_byte.n,
        n_chunks=len(own),
    )


def _verdicts(lost: Sums, text: Text, seed: int) -> dict[tuple[int | None, str, How, Lang], float]:
    """Return q of every layer's cell: at most that share of those below it is false."""
    from scipy.stats import false_discovery_control  # takes a second to import

    found: dict[tuple[int | None, str, How, Lang], float] = {}
    for how, site in sorted({(c.how, c.site) for c in lost if c.layer is not None}):
        cells = layers_of(lost, how, site)
        keys = [(c.layer, site, how, lang) for lang in text.languages for c in cells]
        p = [_p_values(cells, lost, text, lang, seed) for lang in text.languages]
        found |= zip(keys, false_discovery_control(np.concatenate(p)).tolist(), strict=True)
    return found


def _p_values(cells: Sequence[Cell], lost: Sums, text: Text, lang: Lang, seed: int) -> Floats:
    own = text.chunks_of(lang)
    stacked = np.stack([lost[cell][own] for cell in cells])
    return against_the_median(stacked, text.n_tokens[own], drawn_for(text, lang, seed))
