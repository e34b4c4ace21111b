"""The four signals of a check, one value a family, and how they are meant.

In nats a byte, with log p(text | prompt) by teacher forcing and B(text) its bytes:

    knowledge  PMI(right) - mean PMI(wrong),  PMI(a) = [log p(a | q) - log p(a | 0)] / B(a)
    context    [log p(reply | q) - log p(reply | q')] / B(reply)      q' another family's question
    mimicry    log p(news | q) / B(news) - log p(reply | q) / B(reply)
    language   log p(right | q) / B(right) - log p(right' | q) / B(right')  in another language

`knowledge` is the PMI margin of `probe` (`probe/likelihood.py`). `context` near 0 is a model that
ignores what it was asked. `mimicry` compares a headline with a reply: its rise is the bad side. The
headlines are longer (1.8 times the bytes in the median, 4.5 at most), so each is taken a byte of
its own, and its mean is over more tokens than the reply's.
`language` falls when an answer in the wrong language becomes likely. A check reports tuned minus
base family by family, so what is fixed about a text (its length, how rare it is) cancels.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seemant.train.alarm.quiz import Family, Quiz

Floats = NDArray[np.float64]
Signal = Literal["knowledge", "context", "mimicry", "language"]
SIGNALS: tuple[Signal, ...] = ("knowledge", "context", "mimicry", "language")
GOOD: Mapping[Signal, int] = {"knowledge": 1, "context": 1, "mimicry": -1, "language": 1}
"""1 where more is better, -1 where less is."""


def values(quiz: Quiz, nats: Floats) -> dict[Signal, Floats]:
    """Return each signal's value of every family, (F,) in nats a byte.

    nats: log-likelihood of each of the quiz's continuations, (C,), at most 0.
    """
    n_bytes = np.array([each.n_bytes for each in quiz.continuations], dtype=np.float64)
    per_byte = nats / n_bytes

    def of(place: str) -> Floats:
        return per_byte[[getattr(family, place) for family in quiz.families]]

    pmi = of("right") - of("right_alone")
    return {
        "knowledge": pmi - np.array([_wrong_pmi(f, per_byte) for f in quiz.families]),
        "context": of("reply") - of("reply_astray"),
        "mimicry": of("news") - of("reply"),
        "language": of("right") - of("other"),
    }


def oriented(signal: Signal, tuned: Floats, base: Sequence[float] | Floats) -> Floats:
    """Return d_f: tuned minus base, turned so that a fall is bad."""
    return GOOD[signal] * (tuned - np.asarray(base, dtype=np.float64))


def _wrong_pmi(family: Family, per_byte: Floats) -> float:
    after, alone = list(family.wrong), list(family.wrong_alone)
    return float((per_byte[after] - per_byte[alone]).mean())
