"""The reading says no more than was shown."""

import re

from seemant.compress.attribution.cells import Damage, How
from seemant.compress.attribution.reading import reading
from seemant.compress.attribution.summary import Explanation, LanguageEffect, Ratio, Summary

CAUSAL = re.compile(r"\b(costs?|gives? back|because|due to|causes?|leads? to|harm)\b")


def row(layer: int | None, site: str, how: How, kld: float, q: float | None = None) -> Damage:
    return Damage(
        layer=layer, site=site, how=how, lang="hi", kld=kld, low=0.9 * kld, high=1.1 * kld,
        per_byte=kld / 3, per_byte_low=kld / 4, per_byte_high=kld / 2, method="m", n=100,
        n_bytes=300, n_chunks=10, q=q,
    )  # fmt: skip


def summary(**given: object) -> Summary:
    empty = {"interaction": [], "structure": {}, "explanations": [], "language_effects": []}
    return Summary.model_validate(empty | given)


def test_causal_words_stand_only_where_something_was_exchanged() -> None:
    rows = [row(None, "all", "all", 0.5), row(None, "token_embd", "insert", 0.2)]
    rows += [row(None, "ffn_down", "insert", 0.1)]
    rows += [row(layer, "layer", "insert", 0.01 + 0.3 * (layer == 2), 0.001) for layer in range(5)]
    told = reading(
        rows,
        summary(
            interaction=[Ratio(lang="hi", value=1.5, low=1.2, high=1.8)],
            structure={"noise": [Ratio(lang="hi", value=0.5, low=0.4, high=0.6)]},
            explanations=[
                Explanation(column="kurtosis", lang="hi", rho=0.8, low=0.5, high=0.9, n_layers=18)
            ],
            language_effects=[
                LanguageEffect(layer=n, first="kn", second="en", overall=2, low=1.5, high=2.5,
                               ratio=2 + 4 * (n == 3), raw=3) for n in range(5)
            ],
        ),
        folded=False,
    )  # fmt: skip
    for sentence in told:
        if sentence.basis != "intervention":
            assert not CAUSAL.search(sentence.text), sentence.text
    said = " ".join(s.text for s in told)
    assert "Compressed alone, layer 2 (0.31) costs more" in said
    assert "Restored" not in said  # was not run
    assert "errors compound" in said and "less harm than their size" in said
    assert "kurtosis of what flows in goes with more damage" in said
    assert (
        "Kannada 2.00 [1.50, 2.50] times what it costs English" in said and "layer 3 (6.00)" in said
    )


def test_where_nothing_stands_out_it_says_so() -> None:
    rows = [row(layer, "layer", "insert", 0.1, 0.9) for layer in range(5)]
    weak = Explanation(column="cka", lang="hi", rho=0.2, low=-0.3, high=0.6, n_layers=18)
    told = [s.text for s in reading(rows, summary(explanations=[weak]), folded=True)]
    assert any("No single layer stands out in Hindi" in text for text in told)
    assert any("No column goes with the damage" in text for text in told)
    assert any("folded" in text for text in told)
    bare = [each.model_copy(update={"low": None, "high": None}) for each in rows]
    told = [s.text for s in reading(bare, summary(), folded=False)]
    assert not any("stands out" in text for text in told)  # nothing was tested
    assert any("fewer than 8 paragraphs" in text for text in told)
