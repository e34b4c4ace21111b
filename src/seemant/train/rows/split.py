"""Which pairs are held out: whole paragraphs, the same ones for every student."""

from collections import defaultdict
from collections.abc import Sequence

from seemant.core.hashing import text_sha256
from seemant.train.rows.render import Row


def hold_out(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (training rows, held-out rows), both in their order.

    Pairs of one paragraph stay together in every language, or its translation would teach the
    answer. Paragraphs are asked in the order of their hash, so the choice for a paragraph barely
    depends on which others are there: one is held out where a language of its own still lacks
    some of its share, and none would be left without a paragraph to train on. At least one is
    held out of a language with two where `share` > 0, unless that would empty another language.
    """
    languages: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        languages[row.paragraph].add(row.lang)
    most: dict[str, int] = defaultdict(int)
    for those in languages.values():
        for lang in those:
            most[lang] += 1
    most = {lang: n - 1 for lang, n in most.items()}
    wanted = {lang: min(max(round(share * (n + 1)), 1), n) for lang, n in most.items()}
    n_held = dict.fromkeys(most, 0)
    held: set[str] = set()
    for name in sorted(languages, key=lambda name: text_sha256(f"{seed}\0heldout\0{name}")):
        own = languages[name]
        lacks = share > 0 and any(n_held[lang] < wanted[lang] for lang in own)
        if lacks and all(n_held[lang] < most[lang] for lang in own):
            held.add(name)
            for lang in own:
                n_held[lang] += 1
    train = [row for row in rows if row.paragraph not in held]
    return train, [row for row in rows if row.paragraph in held]
