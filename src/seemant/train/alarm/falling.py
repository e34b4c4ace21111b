"""Whether the held-out loss falls: a slope over looks, with an upper end clustered by paragraph.

With y_rk the nats of held-out row r at look k, x_k its step, and n_r its answer tokens:

    b_r = sum_k (x_k - x) y_rk / sum_k (x_k - x)^2          slope of a row, nats a step
    R = sum_r b_r / sum_r n_r                               slope of the loss, nats a token and step
    SE^2 = C / (C - 1) * sum_c (b_c - R n_c)^2 / (sum n)^2  clusters c: rows of one paragraph

(the linearised variance of a ratio, as in `heldout.py`). The same rows are looked at each time, so
their slopes are paired and a fall is seen within two looks; four looks of the mean alone leave two
degrees of freedom. The loss *falls* when the upper end is below 0 over the last four looks, or over
all since the untrained model: a plateau after a fall is a healthy-looking loss too.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.core.measurement import MIN_CLUSTERS
from seemant.core.records import Record
from seemant.train.alarm.student_t import t_bound
from seemant.train.render import Row

LOOKS = 4
_CONFIDENCE = 0.95


class Slope(Record):
    """Nats a token and step, with its one-sided upper end; None where paragraphs are too few."""

    value: float
    upper: float | None

    @property
    def falls(self) -> bool:
        """Whether the loss falls; of too few paragraphs, whether it is lower."""
        return (self.value if self.upper is None else self.upper) < 0


def slope(steps: Sequence[int], nats: Sequence[Sequence[float]], rows: Sequence[Row]) -> Slope:
    """Return the slope over two looks or more. nats: of each look, of each row."""
    x = np.asarray(steps, dtype=np.float64)
    x = x - x.mean()
    weight = x / (x @ x)
    by_row = weight @ np.asarray(nats, dtype=np.float64)
    slopes, tokens = _by_paragraph(by_row, rows)
    total = float(tokens.sum())
    ratio = float(slopes.sum()) / total
    c = len(slopes)
    if c < MIN_CLUSTERS:
        return Slope(value=ratio, upper=None)
    se = math.sqrt(c / (c - 1) * float(((slopes - ratio * tokens) ** 2).sum())) / total
    return Slope(value=ratio, upper=ratio + t_bound(1 - _CONFIDENCE, c - 1) * se)


def loss_falls(history: Mapping[int, Sequence[float]], rows: Sequence[Row]) -> tuple[bool, Slope]:
    """Return whether the loss falls, and the slope of the last looks. history: nats by step."""
    steps = sorted(history)
    if len(steps) < 2:
        return False, Slope(value=0.0, upper=None)
    last = slope(steps[-LOOKS:], [history[s] for s in steps[-LOOKS:]], rows)
    whole = slope(steps, [history[s] for s in steps], rows)
    return last.falls or whole.falls, last


def _by_paragraph(
    values: NDArray[np.float64], rows: Sequence[Row]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    names = {name: at for at, name in enumerate(dict.fromkeys(row.paragraph for row in rows))}
    places = [names[row.paragraph] for row in rows]
    slopes, tokens = np.zeros(len(names)), np.zeros(len(names))
    np.add.at(slopes, places, values)
    np.add.at(tokens, places, [row.n_answer for row in rows])
    return slopes, tokens
