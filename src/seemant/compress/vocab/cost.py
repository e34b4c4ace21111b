"""The cost of a trimmed vocabulary on held-out text, as measurements."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.vocab.price import LONGEST, TextNats, outside, text_nats
from seemant.core.measurement import Measurement, of_interval
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.models.decoder.load import load_decoder
from seemant.models.tokenizer import Tokenizer
from seemant.stats.bootstrap import draws, ratio

LETTERS = 512  # of a paragraph are scored: a hundred tokens or two
TEXT = {"text": "held out"}  # of which all of it is said
COUNTED = 1000  # paragraphs a language whose tokens are looked up

Texts = Mapping[Lang, Sequence[str]]


def tokens_outside(
    subject: str, tokenizer: Tokenizer, texts: Texts, ids: NDArray[np.int64], seed: int
) -> Iterator[Measurement]:
    """Yield by language the share of tokens that have no row any more, interval over paragraphs.

    tokenizer: of the model before; ids: the rows kept.
    """
    for lang, paragraphs in texts.items():
        counts = [outside(tokenizer, [each], ids) for each in paragraphs[:COUNTED]]
        counts = [each for each in counts if each.n]
        drawn = draws(len(counts), rng(seed, "tokens outside", lang))
        found = ratio([c.n_outside for c in counts], [c.n for c in counts], drawn)
        yield of_interval(subject, "tokens_outside", lang, found, TEXT, "share")


def nats(
    subject: str,
    models: Mapping[str, tuple[Path, Tokenizer]],
    texts: Texts,
    seed: int,
    done: Callable[[str], None],
) -> Iterator[Measurement]:
    """Yield nats a byte of each model ("before", "after") and the paired ratio of the two.

    One model after another is in memory, 4 bytes a weight. `done(part)` tells each language.
    """
    cut = {
        lang: [
            fitting(each, [tokenizer for _, tokenizer in models.values()]) for each in paragraphs
        ]
        for lang, paragraphs in texts.items()
    }
    found: dict[tuple[str, Lang], TextNats] = {}
    for part, (path, tokenizer) in models.items():
        decoder = load_decoder(path, words=False).decoder
        for lang, paragraphs in cut.items():
            found[part, lang] = text_nats(decoder, tokenizer, paragraphs)
            done(f"{part} {lang}")
        del decoder
    for lang in cut:
        before, after = found["before", lang], found["after", lang]
        for part, each in (("before", before), ("after", after)):
            value = each.per_byte(seed=seed)
            yield of_interval(
                subject, "nats_per_byte", lang, value, {"part": part, **TEXT}, "nats/byte"
            )
        change = after.over(before, seed=seed)
        yield of_interval(subject, "nats_ratio", lang, change, TEXT, "ratio")


def chosen(texts: Texts, languages: Iterable[Lang], n: int, seed: int) -> dict[Lang, list[str]]:
    """Return n paragraphs of each language, drawn without replacement, or all there are."""
    found = {}
    for lang in languages:
        order = rng(seed, "trim", lang).permutation(len(texts[lang]))[:n]
        found[lang] = [texts[lang][int(at)].strip() for at in sorted(order)]
    return found


def fitting(text: str, tokenizers: Sequence[Tokenizer]) -> str:
    """Return the beginning of a text, whole words if it can be, that every tokenizer fits."""
    size = LETTERS
    while True:
        short = text if len(text) <= size else text[:size].rpartition(" ")[0] or text[:size]
        if all(len(tokenizer.encode(short, False)) < LONGEST for tokenizer in tokenizers):
            return short
        size = min(size, len(short)) // 2
