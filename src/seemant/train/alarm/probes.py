"""The fixed questions of the alarm: 48 families, each one stable fact in Hindi, Kannada, English.

They are no part of any training data that ships with the project, and no fact of the suite that
`probe` asks; tests hold both. 24 families were too few to see a fall of half a standard deviation
(`stats.sequential`).

Each family is asked in *one* of a run's languages, dealt in turn. All families in all languages
would cost as many times more and give the same 48 observations: the family is the cluster.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from seemant.core.records import LANGUAGES, Filled, Lang, Record


class AlarmProbe(Record):
    """One fact in one language.

    right, wrong: short answers. reply: the right answer as a sentence. news: what a model that
    only mimics headlines would go on with, on the same topic. neutral: an everyday sentence, for
    the distance to the base on text that nobody trains on.
    """

    family: Filled
    question: Filled
    right: Filled
    wrong: Annotated[tuple[Filled, ...], Field(min_length=1)]
    reply: Filled
    news: Filled
    neutral: Filled


class Asked(Record):
    """A family in the language that it is asked in, and its right answer in another language."""

    lang: Lang
    other_lang: Lang
    probe: AlarmProbe
    other_right: Filled

    @property
    def family(self) -> str:
        """The cluster of all statistics."""
        return self.probe.family


def shipped_probes(lang: Lang) -> list[AlarmProbe]:
    """Return the 48 families in a language, in the one order of all languages."""
    text = files("seemant.train.alarm").joinpath("data", f"{lang}.jsonl").read_text("utf-8")
    return [AlarmProbe.model_validate_json(line) for line in text.splitlines()]


def dealt(languages: Sequence[Lang]) -> list[Asked]:
    """Return the families, dealt to the languages in turn.

    The other language is the next of the run's own; a run in one language is held against English,
    a run in English against Hindi.
    """
    order = [lang for lang in LANGUAGES if lang in languages]
    pool: list[Lang] = [*order]
    if len(order) == 1:
        pool.append("hi" if order == ["en"] else "en")
    by_lang = {lang: shipped_probes(lang) for lang in pool}
    asked = []
    for number in range(len(by_lang[pool[0]])):
        lang = order[number % len(order)]
        other = pool[(pool.index(lang) + 1) % len(pool)]
        asked.append(
            Asked(
                lang=lang,
                other_lang=other,
                probe=by_lang[lang][number],
                other_right=by_lang[other][number].right,
            )
        )
    return asked
