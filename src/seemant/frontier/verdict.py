"""The verdict on a model in one plain word, from how many of its answers were right.

The only place where these rules stand. For one language, in this order:

1. *damaged by compression*: it diverges from the model that it was made from by more than the
   frontier's limit.
2. *not enough evidence*: nobody read its answers, or the questions come from fewer than 8
   families, or the interval of the share that it answered right reaches from guessing to the floor.
3. *no better than guessing*: the interval's lower end is not above `GUESSING`.
4. *good*: the interval's lower end is above the floor on right answers.
5. *weak*: anything else; better than guessing, and not surely above the floor.

A model is as good as its worst language, and *too big* where the device cannot hold it. The
interval is the 95 % one of `seemant.stats.clusters.proportion`: cluster t in the middle, Wilson's
at the ends, questions about one fact counted as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seemant.core.measurement import MIN_CLUSTERS
from seemant.frontier.languages import language

Word = Literal[
    "good",
    "weak",
    "not enough evidence",
    "no better than guessing",
    "damaged by compression",
    "too big",
]
WORDS: tuple[Word, ...] = (  # from the best to the worst
    "good",
    "weak",
    "not enough evidence",
    "no better than guessing",
    "damaged by compression",
    "too big",
)
MIN_RIGHT = 0.5
"""The default floor: surely more than half of the answers are right."""
GUESSING = 0.1
"""Of short free answers (yes or no, small numbers, the name in the question) so many come out right
by themselves; a choice among four would give 0.25."""
MEANINGS: Mapping[Word, str] = {
    "good": "surely more of its answers are right than the floor asks for",
    "weak": "better than guessing, but not surely above the floor",
    "not enough evidence": "too few questions were answered to tell",
    "no better than guessing": f"not surely more than {GUESSING:.0%} of its answers are right",
    "damaged by compression": "compression changed what it says too much",
    "too big": "the device cannot hold it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many answers were right of how many, in one language; the 95 % interval of the share.

    n_families: independent families of questions. whose: the model that was asked, where it was
    not this one but the one that it was compressed from.
    """

    right: int
    asked: int
    low: float | None
    high: float | None
    n_families: int
    whose: str | None = None

    @property
    def words(self) -> str:
        """Return "2 of 43 right"."""
        return f"{self.right} of {self.asked} right"


def tally_of(reading: Mapping[str, Any], whose: str | None = None) -> Tally:
    """Return the tally of a reading of the share of right answers (value, ci_low, n, ...)."""
    asked = int(reading["n"])
    return Tally(
        right=round(float(reading["value"]) * asked),
        asked=asked,
        low=reading["ci_low"],
        high=reading["ci_high"],
        n_families=int(reading.get("n_clusters") or asked),
        whose=whose,
    )


def word_of(tally: Tally | None, *, damaged: bool = False, min_right: float = MIN_RIGHT) -> Word:
    """Return the verdict on a model in one language. tally: None where no answer was read.

    min_right: the floor, a share; 0 sets none, and whatever surely beats guessing is good.
    """
    if damaged:
        return "damaged by compression"
    if tally is None or tally.low is None or tally.high is None or tally.n_families < MIN_CLUSTERS:
        return "not enough evidence"
    floor = max(min_right, GUESSING)
    if tally.low > floor:
        return "good"
    if tally.low > GUESSING:
        return "weak"
    return (
        "not enough evidence" if tally.high > max(floor, MIN_RIGHT) else "no better than guessing"
    )


def worst(words: Sequence[Word]) -> Word:
    """Return the worst of several verdicts; without any there is no evidence."""
    return max(words, key=WORDS.index, default="not enough evidence")


def tallies(row: Mapping[str, Any]) -> dict[str, Tally]:
    """Return a candidate's tallies by language, from its row of `frontier.json`."""
    return {lang: Tally(**given) for lang, given in row.get("answers", {}).items()}


def words_of(
    row: Mapping[str, Any], languages: Sequence[str], *, min_right: float = MIN_RIGHT
) -> dict[str, Word]:
    """Return the verdict on a candidate in each of some languages."""
    found = tallies(row)
    hurt = row.get("damaged", ())
    return {
        lang: word_of(found.get(lang), damaged=lang in hurt, min_right=min_right)
        for lang in languages
    }


def told(tally: Tally | None, lang: str) -> str:
    """Return "2 of 43 right in Hindi (1 % to 16 % with 95 % certainty)", with whose they were."""
    where = language(lang)
    if tally is None:
        return f"no answer was read in {where}"
    ends = ""
    if tally.low is not None and tally.high is not None:
        ends = f" (likely between {tally.low:.0%} and {tally.high:.0%})"
    whose = f", as {tally.whose} before compression" if tally.whose else ""
    return f"{tally.words} in {where}{ends}{whose}"
