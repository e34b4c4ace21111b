"""What the cells say together, on sums of damage whose answer is known."""

import numpy as np
import pytest

from seemant.compress.attribution.cells import ALL, LAYER, Cell
from seemant.compress.attribution.summary import LanguageEffect, summarise
from seemant.compress.attribution.text import Text
from seemant.core.records import Lang
from seemant.core.seeds import rng


def effects(n_chunks: int, noise: float, seed: int = 0) -> list[LanguageEffect]:
    """Return the effects of five layers that cost Kannada twice what they cost English."""
    stream = rng(seed, "test", "effects")
    langs: tuple[Lang, ...] = ("kn",) * n_chunks + ("en",) * n_chunks
    sized = np.full(2 * n_chunks, 100.0)
    text = Text(batches=(), langs=langs, n_tokens=sized / 4, n_bytes=sized)
    level = np.where(np.array(langs) == "kn", 2.0, 1.0)
    sums = {
        Cell(layer, LAYER, "insert"): level * np.exp(noise * stream.normal(size=len(langs)))
        for layer in range(5)
    }
    sums[Cell(None, ALL, "all")] = np.sum(list(sums.values()), axis=0)
    return summarise(sums, (), text, 0).language_effects


def test_the_common_ratio_of_two_languages_has_an_interval_that_holds_it() -> None:
    found = [effects(20, 0.3, seed)[0] for seed in range(40)]
    assert {(each.first, each.second) for each in found} == {("kn", "en")}
    held = [each.low <= 2 <= each.high for each in found]  # type: ignore[operator]
    assert sum(held) >= 34, "95 % of 40, less four standard errors"
    assert all(each.low < each.overall < each.high for each in found)  # type: ignore[operator]


def test_of_few_chunks_the_ratio_stands_without_an_interval() -> None:
    effect = effects(7, 0.1)[0]
    assert effect.overall == pytest.approx(2, rel=0.1)
    assert effect.low is None and effect.high is None
