"""Likelihood margins: does a model prefer the right answer, though it may not say it?

For an answer a of B(a) bytes, a question q and a neutral question 0 in the same language and
template, in nats a byte:

    L(a)   = log p(a | q) / B(a)
    PMI(a) = (log p(a | q) - log p(a | 0)) / B(a)

With the right answer g (`accepted[0]`) and the distractors d_1 .. d_n:

    contrast margin = L(g)   - (1/n) sum_i L(d_i)
    PMI margin      = PMI(g) - (1/n) sum_i PMI(d_i)

The PMI takes out how likely an answer's text is by itself: its length, its words, its spelling in
this vocabulary (the idea of lm-evaluation-harness' `acc_mutual_info`). The mean over distractors,
not the maximum or log-mean-exp, makes the expectation zero for a model that knows nothing: where
g and the d_i are exchangeable, both margins average to exactly 0. Whether g beats *every*
distractor is told apart, as `choice`. Whole answers are scored, never letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from seemant.core.records import Lang

# A question that asks nothing, worded as an instruction so that chat templates take it.
NULL_QUESTION: dict[Lang, str] = {"hi": "उत्तर दीजिए।", "kn": "ಉತ್ತರಿಸಿ.", "en": "Give an answer."}


@dataclass(frozen=True, slots=True)
class AnswerNats:
    """One answer's log-likelihoods in nats: after the question, after the neutral one; its bytes.

    merged: the tokenizer joins question and answer at their border.
    """

    answer: str
    given: float
    null: float
    n_bytes: int
    merged: bool = False

    @property
    def per_byte(self) -> float:
        """L(a), nats a byte."""
        return self.given / self.n_bytes

    @property
    def pmi(self) -> float:
        """PMI(a), nats a byte."""
        return (self.given - self.null) / self.n_bytes


@dataclass(frozen=True, slots=True)
class Margins:
    """The margins of one probe, nats a byte; `choice`: the right answer has the largest PMI."""

    contrast: float
    pmi: float
    choice: bool


def margins(gold: AnswerNats, distractors: Sequence[AnswerNats]) -> Margins:
    """Return both margins (equations above). There is at least one distractor."""
    return Margins(
        contrast=gold.per_byte - fmean(d.per_byte for d in distractors),
        pmi=gold.pmi - fmean(d.pmi for d in distractors),
        choice=all(gold.pmi > d.pmi for d in distractors),
    )
