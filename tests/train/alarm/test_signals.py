"""The quiz and the four signals, against their equations spelled out."""

from typing import Any

import numpy as np
import pytest

from seemant.core.records import LANGUAGES, Lang
from seemant.probe.likelihood import NULL_QUESTION, AnswerNats, margins
from seemant.train.alarm.probes import Asked, dealt
from seemant.train.alarm.quiz import Continuation, Family, Quiz, quiz
from seemant.train.alarm.signals import GOOD, SIGNALS, oriented, values
from seemant.train.rows.render import Form
from tests.train.tiny import byte_level, sentencepiece


@pytest.fixture(params=["plain", "chat"])
def written(request: pytest.FixtureRequest) -> Form:
    template, tokenizer = request.getfixturevalue(request.param)
    return Form(template=template, tokenizer=tokenizer, n_vocab=400, max_length=512)


def texts_of(made: Quiz, number: int, form: Form) -> tuple[str, str]:
    each = made.continuations[number]
    inner = form.tokenizer.inner
    prompt = inner.decode(list(made.prompts[each.prompt]), skip_special_tokens=False)
    return prompt, inner.decode(list(each.ids), skip_special_tokens=False)


def test_every_continuation_stands_behind_the_prompt_that_it_should(written: Form) -> None:
    asked = dealt(("hi", "en"))
    made = quiz(asked, written)
    assert len(made.families) == 48
    for at in (0, 1, 47):
        family, each = made.families[at], asked[at]
        p = each.probe
        for place, question, answer in (
            (family.right, p.question, p.right),
            (family.wrong[0], p.question, p.wrong[0]),
            (family.right_alone, NULL_QUESTION[each.lang], p.right),
            (family.wrong_alone[0], NULL_QUESTION[each.lang], p.wrong[0]),
            (family.reply, p.question, p.reply),
            (family.news, p.question, p.news),
            (family.other, p.question, each.other_right),
        ):
            prompt, text = texts_of(made, place, written)
            assert question in prompt and text.strip() == answer
            assert made.continuations[place].n_bytes == len(answer.encode())
        prompt, text = texts_of(made, family.reply_astray, written)
        assert text.strip() == p.reply and p.question not in prompt
        others = [o.probe.question for o in asked if o.lang == each.lang]
        assert any(question in prompt for question in others)


def test_the_end_of_the_turn_is_not_scored(written: Form) -> None:
    made = quiz(dealt(("en",)), written)
    end = written.tokenizer.encode(written.template.end_of_turn, add_bos=False)[0]
    assert all(end not in each.ids for each in made.continuations)


def test_equal_prompts_are_one(written: Form) -> None:
    made = quiz(dealt(("en",)), written)
    assert len(set(made.prompts)) == len(made.prompts) == 48 + 1  # the questions, and none asked


def small_quiz() -> Quiz:
    sizes = [4, 5, 4, 5, 20, 20, 25, 6]
    family = Family(
        name="f",
        lang="en",
        right=0,
        wrong=(1,),
        right_alone=2,
        wrong_alone=(3,),
        reply=4,
        reply_astray=5,
        news=6,
        other=7,
    )
    parts = tuple(Continuation(0, (1,), n) for n in sizes)
    return Quiz(((1,),), parts, (family,), ())


def test_signals_are_their_equations() -> None:
    nats = -np.array([2.0, 10.0, 3.0, 9.0, 6.0, 16.0, 40.0, 15.0])
    found = values(small_quiz(), nats)
    assert found["knowledge"][0] == pytest.approx((-2 + 3) / 4 - (-10 + 9) / 5)
    assert found["context"][0] == pytest.approx((-6 + 16) / 20)
    assert found["mimicry"][0] == pytest.approx(-40 / 25 + 6 / 20)
    assert found["language"][0] == pytest.approx(-2 / 4 + 15 / 6)
    answers = [AnswerNats("r", -2.0, -3.0, 4), AnswerNats("w", -10.0, -9.0, 5)]
    assert found["knowledge"][0] == pytest.approx(margins(answers[0], answers[1:]).pmi)


@pytest.mark.parametrize(
    ("signal", "changed", "to"),
    [("knowledge", 0, -5.0), ("context", 5, -6.0), ("mimicry", 6, -20.0), ("language", 7, -2.0)],
)
def test_what_is_bad_lowers_the_turned_signal(signal: Any, changed: int, to: float) -> None:
    nats = -np.array([2.0, 10.0, 3.0, 9.0, 6.0, 16.0, 40.0, 15.0])
    base = values(small_quiz(), nats)
    nats[changed] = to
    now = values(small_quiz(), nats)
    assert oriented(signal, now[signal], base[signal])[0] < 0
    assert set(GOOD) == set(SIGNALS)


def test_several_wrong_answers_are_a_mean() -> None:
    made = small_quiz()
    family = made.families[0]
    twice = Family(**{f: getattr(family, f) for f in Family.__slots__} | {"wrong": (1, 0)})
    alone = Family(**{f: getattr(twice, f) for f in Family.__slots__} | {"wrong_alone": (3, 2)})
    both = Quiz(made.prompts, made.continuations, (alone,), ())
    nats = -np.array([2.0, 10.0, 3.0, 9.0, 6.0, 16.0, 40.0, 15.0])
    right, wrong = (-2 + 3) / 4, (-10 + 9) / 5
    assert values(both, nats)["knowledge"][0] == pytest.approx(right - (wrong + right) / 2)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_reply_goes_astray_far_from_its_own_question(lang: Lang) -> None:
    asked: list[Asked] = dealt((lang,))
    form = Form(template=_plain(), tokenizer=sentencepiece("▁D"), n_vocab=400, max_length=512)
    made = quiz(asked, form)
    first = made.continuations[made.families[0].reply_astray].prompt
    assert first == made.continuations[made.families[24].reply].prompt


def _plain() -> Any:
    from seemant.models.prompts import make_template

    return make_template("", "<eos>")


def test_byte_level_tokenizers_spell_indic_probes_too() -> None:
    assert byte_level().decode(byte_level().encode("कैरो ಕೈರೋ")) == "कैरो ಕೈರೋ"
