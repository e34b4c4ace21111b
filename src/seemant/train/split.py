"""Which pairs are held out: whole paragraphs, the same ones for every student."""

from collections.abc import Sequence

from seemant.core.hashing import text_sha256
from seemant.train.render import Row


def hold_out(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (training rows, held-out rows), both in their order.

    Pairs of one paragraph stay together, or the answer would leak. Within each language the
    paragraphs with the smallest hash are held out, so the choice for a paragraph barely depends
    on which others are there. At least one is held out where `share` > 0 and the language has
    two; at least one is always left to train on.
    """
    held: set[tuple[str, str]] = set()
    for lang in sorted({row.lang for row in rows}):
        names = sorted(
            {row.paragraph for row in rows if row.lang == lang},
            key=lambda name: text_sha256(f"{seed}\0heldout\0{name}"),
        )
        n = round(share * len(names))
        if share > 0:
            n = min(max(n, 1), len(names) - 1)
        held |= {(lang, name) for name in names[:n]}
    train = [row for row in rows if (row.lang, row.paragraph) not in held]
    return train, [row for row in rows if (row.lang, row.paragraph) in held]
