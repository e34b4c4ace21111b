"""Whether the held-out loss falls: a slope over looks, with an upper end clustered by paragraph.

With y_rk the nats of held-out row r at look k, x_k its step, and n_r its answer tokens:

    b_r = sum_k (x_k - x) y_rk / sum_k (x_k - x)^2          slope of a row, nats a step
    R = sum_r b_r / sum_r n_r                               slope of the loss, nats a token and step
    SE^2 = C / (C - 1) * sum_c (b_c - R n_c)^2 / (sum n)^2  clusters c: rows of one paragraph

(the linearised variance of a ratio, `stats.clusters`). The same rows are looked at each time, so
their slopes are paired and a fall is seen within two looks; four looks of the mean alone leave two
degrees of freedom. The loss *has fallen* when the upper end is below 0 over the last four looks. A
plateau after a fall looks healthy too: it counts where the last four looks do not rise (the slope's
lower end is not above 0) and the present loss is below that of look 0, paired by row.

The rows are those of bucket "pairs", where there are any: what is replayed may get worse while the
pairs get better, which is told by itself (`worse`) and is no reason against a ring.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from seemant.core.records import Record
from seemant.stats.clusters import cluster_ratio, cluster_sums
from seemant.train.rows.render import PAIRS, Row

LOOKS = 4
_TAIL = 0.05


class Slope(Record):
    """Nats a token and step, with its one-sided ends; None where paragraphs are too few."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @property
    def falls(self) -> bool:
        """Whether the loss falls; of too few paragraphs, whether it is lower."""
        return (self.value if self.upper is None else self.upper) < 0

    @property
    def rises(self) -> bool:
        """Whether the loss rises; of too few paragraphs, whether it is higher."""
        return (self.value if self.lower is None else self.lower) > 0


def slope(
    steps: Sequence[int],
    nats: Sequence[Sequence[float]],
    rows: Sequence[Row],
    tail: float = _TAIL,
) -> Slope:
    """Return the slope over two looks or more. nats: of each look, of each row. tail: of an end."""
    x = np.asarray(steps, dtype=np.float64)
    x = x - x.mean()
    weight = x / (x @ x)
    by_row = weight @ np.asarray(nats, dtype=np.float64)
    paragraphs = [row.paragraph for row in rows]
    tokens = cluster_sums([row.n_answer for row in rows], paragraphs)
    slopes = cluster_sums(by_row, paragraphs)
    found = cluster_ratio(slopes, tokens, n=len(rows), over="paragraphs", tail=tail)
    return Slope(value=found.value, lower=found.low, upper=found.high)


def has_fallen(history: Mapping[int, Sequence[float]], rows: Sequence[Row]) -> tuple[bool, Slope]:
    """Return whether the pairs' loss has fallen, and the slope of the last looks.

    history: nats of each row by step.
    """
    steps = sorted(history)
    if len(steps) < 2:
        return False, Slope(value=0.0)
    chosen = counted(rows)
    own = [rows[at] for at in chosen]
    last = _over(steps[-LOOKS:], history, chosen, own)
    since = _over([steps[0], steps[-1]], history, chosen, own)
    return last.falls or (not last.rises and since.falls), last


def worse(
    history: Mapping[int, Sequence[float]], rows: Sequence[Row], tail: float
) -> tuple[str, ...]:
    """Return the buckets beside the pairs whose loss is above that of look 0, paired by row.

    tail: the chance that a bucket which is as it was is named at this look.
    """
    steps, own = sorted(history), set(counted(rows))
    found = []
    for bucket in dict.fromkeys(row.bucket for row in rows):
        chosen = [at for at, row in enumerate(rows) if row.bucket == bucket]
        if own.isdisjoint(chosen) and len(steps) > 1:
            some = [rows[at] for at in chosen]
            if _over([steps[0], steps[-1]], history, chosen, some, tail).rises:
                found.append(bucket)
    return tuple(found)


def counted(rows: Sequence[Row]) -> list[int]:
    """Return the indices of the rows whose loss must fall: the pairs, of none all."""
    pairs = [at for at, row in enumerate(rows) if row.bucket == PAIRS]
    return pairs or list(range(len(rows)))


def _over(
    steps: Sequence[int],
    history: Mapping[int, Sequence[float]],
    chosen: Sequence[int],
    rows: Sequence[Row],
    tail: float = _TAIL,
) -> Slope:
    return slope(steps, [[history[s][at] for at in chosen] for s in steps], rows, tail)
