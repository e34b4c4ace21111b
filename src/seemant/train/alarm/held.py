"""Which held-out rows the alarm measures the loss on: a few, of every bucket and language.

All held-out rows may be a tenth of the data, and a pass over them at each check would cost more
than the check. A few paragraphs are enough, as the same rows are looked at each time and their
losses are paired. One row a paragraph is taken: more rows of it tell little that is new.
"""

from collections.abc import Sequence

from seemant.core.hashing import text_sha256
from seemant.core.measurement import MIN_CLUSTERS
from seemant.train.rows.render import Row


def some_rows(rows: Sequence[Row], tokens: int, seed: int) -> list[int]:
    """Return the indices of the rows to look at, rising.

    Buckets and languages take turns, each in an order of its own that the seed gives, while the
    rows fit into `tokens`. The first 8 paragraphs of a bucket are taken whatever they cost: of
    fewer there is no interval.
    """

    def place(at: int) -> str:
        return text_sha256(f"{seed}\0alarm\0{rows[at].paragraph}\0{rows[at].key}")

    queues: dict[tuple[str, str], list[int]] = {}
    seen: set[tuple[str, str]] = set()
    for at in sorted(range(len(rows)), key=place):
        row = rows[at]
        if (row.bucket, row.paragraph) not in seen:
            seen.add((row.bucket, row.paragraph))
            queues.setdefault((row.bucket, row.lang), []).append(at)
    chosen, left = list[int](), tokens
    taken = dict.fromkeys((bucket for bucket, _ in queues), 0)
    while any(queues.values()):
        for bucket, lang in sorted(queues):
            queue = queues[bucket, lang]
            if not queue:
                continue
            at = queue.pop(0)
            if len(rows[at].ids) <= left or taken[bucket] < MIN_CLUSTERS:
                chosen.append(at)
                taken[bucket] += 1
                left -= len(rows[at].ids)
    return sorted(chosen)


def looked_at(heldout: Sequence[Row], check_tokens: int, seed: int) -> list[int]:
    """Return the indices of the held-out rows of a check: half as many tokens as its probes."""
    return some_rows(heldout, check_tokens // 2, seed)
