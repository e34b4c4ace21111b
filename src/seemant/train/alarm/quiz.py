"""The probes as token ids: prompts, and the continuations whose likelihood is wanted after each.

Every likelihood that the signals need is log p(continuation | prompt), and most prompts are
followed by several continuations. Prompts are written as the training rows are, by the same
template and system prompt, and a continuation's ids are those that it has behind its prompt
(`render.py`); the end of the turn is not part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from seemant.core.records import Lang, Pair
from seemant.models.tokenizer import Tokenizer
from seemant.probe.likelihood import NULL_QUESTION
from seemant.train.alarm.probes import Asked
from seemant.train.rows.render import Row


class Renders(Protocol):
    """What a run writes its pairs with: `seemant.train.rows.check.Form`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""

    def row(self, pair: Pair) -> Row:
        """Return a pair as a row."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """ids behind the prompt of that number; n_bytes of the text."""

    prompt: int
    ids: tuple[int, ...]
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Where a family's continuations stand in `Quiz.continuations`.

    right, wrong: behind its question. right_alone, wrong_alone: behind the question that asks
    nothing. reply: behind its question, reply_astray: behind another family's. news, other: behind
    its question; other is the right answer in another language.
    """

    name: str
    lang: Lang
    right: int
    wrong: tuple[int, ...]
    right_alone: int
    wrong_alone: tuple[int, ...]
    reply: int
    reply_astray: int
    news: int
    other: int


@dataclass(frozen=True, slots=True)
class Quiz:
    """Everything that a check scores. neutral: whole texts, all of whose tokens count."""

    prompts: tuple[tuple[int, ...], ...]
    continuations: tuple[Continuation, ...]
    families: tuple[Family, ...]
    neutral: tuple[tuple[int, ...], ...]


def quiz(asked: Sequence[Asked], form: Renders) -> Quiz:
    """Return the quiz of these families.

    The question that a reply is set behind in vain is one of the same language, half the families
    away: neighbours are often of one kind ("the capital of ...").
    """
    made = _Maker(form)
    by_lang: dict[Lang, list[Asked]] = {}
    for each in asked:
        by_lang.setdefault(each.lang, []).append(each)
    families = []
    for each in asked:
        own, p = by_lang[each.lang], each.probe
        astray = own[(own.index(each) + max(1, len(own) // 2)) % len(own)].probe.question
        alone = NULL_QUESTION[each.lang]

        def add(question: str, text: str, lang: Lang = each.lang) -> int:
            return made.add(question, text, lang)

        families.append(
            Family(
                name=each.family,
                lang=each.lang,
                right=add(p.question, p.right),
                wrong=tuple(add(p.question, text) for text in p.wrong),
                right_alone=add(alone, p.right),
                wrong_alone=tuple(add(alone, text) for text in p.wrong),
                reply=add(p.question, p.reply),
                reply_astray=add(astray, p.reply),
                news=add(p.question, p.news),
                other=add(p.question, each.other_right),
            )
        )
    neutral = tuple(tuple(form.tokenizer.encode(each.probe.neutral)) for each in asked)
    return Quiz(tuple(made.prompts), tuple(made.continuations), tuple(families), neutral)


class _Maker:
    """Collects continuations; equal prompts are one."""

    def __init__(self, form: Renders) -> None:
        self.form = form
        self.prompts: dict[tuple[int, ...], int] = {}
        self.continuations: list[Continuation] = []

    def add(self, question: str, text: str, lang: Lang) -> int:
        row = self.form.row(Pair(instruction=question, output=text, lang=lang))
        ids = tuple(row.ids)
        before, behind = ids[: row.n_prompt], ids[row.n_prompt : -1]
        prompt = self.prompts.setdefault(before, len(self.prompts))
        self.continuations.append(Continuation(prompt, behind, len(text.encode())))
        return len(self.continuations) - 1
