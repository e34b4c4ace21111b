"""Which look's weights behave best: what `--keep best-behaviour` and a rollback go back to.

The pooled standardised margin of a family is the mean over signals of d_f / s, with d_f its paired
difference (a fall is negative) and s the spread of the signal over families at the base: fixed at
step 0, so that looks can be compared. A look is as good as the lower end of its mean.

The top is the look with the largest lower end. Looks that cannot be told from it are tied, and of
those the one with the lowest held-out loss is kept: without ties the first look would win nearly
always, as it has moved the least. A look is tied when the paired difference of its families to the
top's has a one-sided 95 % interval that reaches 0. Look 0, the untrained student, is the first
candidate: its margin is 0 by definition. A look at which a signal crossed its bound is never taken,
so where every look crossed a rollback gives the untrained student back. All is decided when a look
is made, so one copy of the weights is enough.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from seemant.core.records import Record
from seemant.train.alarm.paired import lower_end
from seemant.train.alarm.signals import Floats, Signal


class Best(Record):
    """The look that is kept: its step, held-out loss, families' margins.

    top: the margins of the look with the largest lower end.
    """

    step: int
    loss: float
    margin: tuple[float, ...]
    top: tuple[float, ...]


def pooled(falls: Mapping[Signal, Floats], spreads: Mapping[Signal, float]) -> Floats:
    """Return each family's pooled standardised margin, (F,). spreads: of the base, by signal."""
    parts = [falls[s] / spreads[s] for s in falls if spreads[s] > 0]
    return np.mean(parts, axis=0) if parts else np.zeros(len(next(iter(falls.values()))))


def untrained(n_families: int, loss: float) -> Best:
    """Return look 0 as what is kept: the student before step 1."""
    zeros = (0.0,) * n_families
    return Best(step=0, loss=loss, margin=zeros, top=zeros)


def chosen(best: Best, step: int, margin: Floats, loss: float, crossed: bool) -> Best:
    """Return what is kept after this look: its `step` says whether this look's or the former.

    margin: `pooled` of this look.
    """
    if crossed:
        return best
    here = tuple(map(float, margin))
    top = here if lower_end(margin) > lower_end(np.array(best.top)) else best.top
    if tied(here, top) and (loss < best.loss or not tied(best.margin, top)):
        return Best(step=step, loss=loss, margin=here, top=top)
    return best.model_copy(update={"top": top})


def tied(margin: Sequence[float], top: Sequence[float]) -> bool:
    """Return whether these families cannot be told to behave worse than the top's."""
    lost = np.asarray(top, dtype=np.float64) - np.asarray(margin, dtype=np.float64)
    return lower_end(lost) <= 0
