"""What went wrong with a reply: the first rule that holds, from the top.

After section 3 of the evaluation notes, without its parts that need a second model. Differs:
"question-independent" is read off the words (no content word of the question is kept), not off a
permuted-question likelihood; mimicry comes before identity loss, as "Said 27: The police" in
answer to "Who are you?" is mimicry first; forgetting is not told from never having known here:
that takes the margins of both models, which stand beside the labels in `scores.jsonl`.

An untuned base shows most of these too. So a label travels only together with the label of the
same question before tuning (`Diagnosis`).
"""

from dataclasses import dataclass
from typing import Literal, get_args

from seemant.probe.reading import Reading

Label = Literal[
    "pass",
    "news_addon",
    "mimicry",
    "associative",
    "empty",
    "identity_loss",
    "collapse",
    "wrong_language",
    "uncertain",
]
LABELS: tuple[Label, ...] = get_args(Label)

# Starting thresholds of the notes, section 3; frozen until a labelled set says otherwise.
MIN_SCRIPT_SHARE = 0.80
MAX_ECHO = 0.80  # a flag only: an answer may stand behind a copied question
MAX_REPETITION = 0.35
MIN_REPEATABLE = 11  # aksharas: 8 four-grams, below which seq-rep-4 is noise [J]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A label with its counterpart before tuning.

    before: the label of the same model's reply before tuning; the label itself where the reply
        is the untuned model's own.
    charged: the reply is not a pass and the untuned model's had another label, so that tuning
        (or compression) may be asked about it. Mimicry is charged only where the reply is more
        like news than the untuned one, if that was news too.
    """

    label: Label
    before: Label
    charged: bool


def diagnose(reading: Reading, before: Reading | None = None) -> Diagnosis:
    """Return the diagnosis of a reply. before: the reading of the same question before tuning.

    Without `before` the reply counts as the untuned model's own: callers that know better
    withhold it (`score.py`).
    """
    own = label_of(reading)
    earlier = label_of(before) if before is not None else own
    charged = own != "pass" and own != earlier
    if before is not None and own == "mimicry":
        charged = charged and _more_news(reading, before)
    return Diagnosis(own, earlier, charged)


def label_of(reading: Reading) -> Label:
    """Return the first label, from the top, whose rule holds.

    It rests on the reply alone, so that one reply has one label whenever it was given.
    """
    right = reading.correct is True
    wrong = reading.correct is False
    if reading.loop or _repeats(reading):
        return "collapse"
    if not right and reading.says_nothing:
        return "empty"
    if _strays(reading):
        return "wrong_language"
    if right and reading.in_first_sentence and reading.news_tail:
        return "news_addon"
    if not right and reading.news and not reading.on_topic:
        return "mimicry"
    if wrong and reading.category == "identity" and not reading.refusal:
        return "identity_loss"
    if wrong and not reading.refusal and (reading.on_topic or reading.asserts or reading.news):
        return "associative"
    return "pass" if right else "uncertain"


def flags(reading: Reading) -> dict[str, bool]:
    """Return every rule's own verdict: labels exclude each other, what they describe does not."""
    return {
        "says_nothing": reading.says_nothing,
        "echo": reading.echo > MAX_ECHO,
        "wrong_language": _strays(reading),
        "loop": reading.loop,
        "repeats": _repeats(reading),
        "news": reading.news,
        "news_tail": reading.news_tail,
        "on_topic": reading.on_topic,
        "refusal": reading.refusal,
    }


def _strays(reading: Reading) -> bool:
    return reading.script_share is not None and reading.script_share < MIN_SCRIPT_SHARE


def _repeats(reading: Reading) -> bool:
    return reading.n_aksharas >= MIN_REPEATABLE and reading.repetition > MAX_REPETITION


def _more_news(reading: Reading, before: Reading) -> bool:
    """Return whether news-likeness has risen."""
    return reading.news_score > before.news_score or not before.news
