"""The embedded teacher over a fake backend: what it asks, in which order, and what comes back."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from seemant.core.errors import InputError
from seemant.core.records import LANGUAGES, Lang
from seemant.distill.examples import examples
from seemant.distill.passages import passages
from seemant.distill.prompts import completion_prompt, few_shot, open_cues, request
from seemant.distill.tasks import Reply, Task
from seemant.distill.teachers import ServerTeacher, completion_teacher
from seemant.distill.worker import serve
from seemant.models.backends.loop import one_by_one
from seemant.models.backends.protocol import Generation, Likelihood, Sampling


class Fake:
    """A backend with given likelihoods of words, with and without a passage."""

    name = "fake"

    def __init__(self, given: dict[str, float], free: dict[str, float]) -> None:
        self.given, self.free = given, free
        self.contexts: list[str] = []
        self.prompts: list[tuple[str, Sampling, tuple[str, ...]]] = []

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> list[Likelihood]:
        self.contexts.append(context)
        if context.endswith("Answer:"):  # an answer is scored, after its question and without
            nats = -1.0 if context.endswith(" left a boat?\nAnswer:") else -3.5
            return [Likelihood(nats=nats, n_tokens=1, n_bytes=1) for _ in continuations]
        nats = self.free if context == completion_prompt("en", None) else self.given
        return [Likelihood(nats=nats[c.strip()], n_tokens=1, n_bytes=1) for c in continuations]

    def work(self, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        return one_by_one(self, tasks)  # type: ignore[arg-type]

    def generate(self, prompt: str, sampling: Sampling, stop: Sequence[str] = ()) -> Generation:
        self.prompts.append((prompt, sampling, tuple(stop)))
        if "too long" in prompt:
            raise InputError("does not fit")
        text = " left a boat?\nAnswer: the green thing"
        return Generation(text=text, finish_reason="stop", n_prompt=5, n_new=5)


def task(text: str = "Tovi left.", *, lang: Lang = "en", rank: int = 0) -> Task:
    return Task(
        paragraph_id="en-1",
        pair=0,
        attempt=rank,
        lang=lang,
        paragraph="The thing that Tovi left is a green boat.",
        text=text,
        rank=rank,
        temperature=0.0,
        max_new_tokens=32,
        seed=7,
    )


def test_the_question_word_that_the_passage_raises_most_comes_first() -> None:
    backend = Fake(
        given={"Who": -2.0, "What": -1.0, "Where": -3.0},
        free={"Who": -6.0, "What": -1.5, "Where": -3.5},  # raised by 4.0, 0.5 and 0.5
    )
    ask = completion_teacher(backend)  # type: ignore[arg-type]
    said = [reply.text.split()[0] for reply in ask([task(rank=rank) for rank in range(4)])]
    assert said == ["Who", "What", "Where", "Who"]


def test_the_words_alone_are_scored_once_a_language() -> None:
    nats = {"Who": -1.0, "What": -2.0, "Where": -3.0}
    backend = Fake(nats, nats)
    ask = completion_teacher(backend)  # type: ignore[arg-type]
    ask([task("Tovi left.")])
    ask([task("Sarla stayed."), task("Rain fell.")])
    assert backend.contexts.count(completion_prompt("en", None)) == 1


def test_the_prompt_is_the_examples_then_the_passage_then_the_word() -> None:
    nats = {"Who": -1.0, "What": -2.0, "Where": -3.0}
    backend = Fake(nats, {"Who": 0.0, "What": -2.0, "Where": -3.0})
    (reply,) = completion_teacher(backend)([task()])  # type: ignore[arg-type]
    prompt, sampling, stop = backend.prompts[0]
    assert prompt == few_shot("en") + "Text: Tovi left.\nQuestion: What"
    assert sampling == Sampling(max_new_tokens=32, seed=7)
    assert "\n\n" in stop and "\nQuestion" in stop
    assert reply == Reply("What left a boat?\nAnswer: the green thing", "stop", 2.5)
    assert backend.contexts[-2:] == [
        few_shot("en") + "Text: Tovi left.\nQuestion: What left a boat?\nAnswer:",
        few_shot("en") + "Text: Tovi left.\nAnswer:",
    ]


def test_a_pair_that_fails_anyway_costs_no_margin() -> None:
    nats = {"Who": -1.0, "What": -2.0, "Where": -3.0}
    backend = Fake(nats, nats)
    other = replace(task(), paragraph="It rained.")
    (reply,) = completion_teacher(backend)([other])  # type: ignore[arg-type]
    assert reply.margin is None
    assert not any(context.endswith("Answer:") for context in backend.contexts)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_prompts_of_a_language_share_the_examples_as_their_beginning(lang: Lang) -> None:
    for passage in (None, "x"):
        assert completion_prompt(lang, passage).startswith(few_shot(lang))
    assert few_shot(lang).count("\n\n") == len(examples(lang))


def test_how_many_is_asked_only_where_there_is_a_number() -> None:
    assert "कितने" not in {cue.word for cue in open_cues("hi", "नदी गाँव के पास बहती है।")}
    assert "कितने" in {cue.word for cue in open_cues("hi", "नदी नौ गाँवों के पास बहती है।")}
    assert "ಯಾವಾಗ" in {cue.word for cue in open_cues("kn", "ಸೋಮವಾರ ಮಳೆ ಬಂತು.")}
    assert "Why" not in {cue.word for cue in open_cues("en", "It rained.")}


def test_a_server_is_asked_for_json_in_the_paragraph_s_language() -> None:
    backend = Fake({}, {})
    ServerTeacher(backend).ask([task("ಮಳೆ ಬಂತು {x}.", lang="kn")])  # type: ignore[arg-type]
    prompt = backend.prompts[0][0]
    assert prompt == request("kn", "ಮಳೆ ಬಂತು {x}.")
    assert "in Kannada" in prompt and prompt.endswith("ಮಳೆ ಬಂತು {x}.")
    assert '{"instruction": "the question", "output": "the answer"}' in prompt


def test_a_worker_answers_each_line_with_a_line_and_lives_on_after_a_bad_task() -> None:
    nats = {"Who": -1.0, "What": -2.0, "Where": -3.0}
    rounds = [[task()], [task(), task("too long")], [task(), task()]]
    answers = io.StringIO()
    lines = [json.dumps([each.as_dict() for each in tasks]) + "\n" for tasks in rounds]
    serve(Fake(nats, nats), lines, answers)  # type: ignore[arg-type]
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    (reply,) = first["replies"]
    assert reply["text"] == "Who left a boat?\nAnswer: the green thing" and reply["margin"] == 2.5
    assert second == {"error": "does not fit", "where": None, "fix": None, "kind": "input"}
    assert third["replies"] == [reply, reply]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "कोसरगढ़, 4 मार्च। नगर परिषद ने पुराने बस अड्डे की मरम्मत शुरू की। छत का काम पहले होगा।",
            ["नगर परिषद ने पुराने बस अड्डे की मरम्मत शुरू की।"],
        ),
        (
            "ಹಸಿರುಕೊಪ್ಪ: ಗ್ರಾಮಗಳಲ್ಲಿ ಈ ಬಾರಿ ರಾಗಿ ಇಳುವರಿ ಹೆಚ್ಚಿದೆ. ಇದಕ್ಕೆ ಮಳೆಯೇ ಕಾರಣ ಎಂದು ಅಧಿಕಾರಿ ಹೇಳಿದರು.",
            [
                "ಗ್ರಾಮಗಳಲ್ಲಿ ಈ ಬಾರಿ ರಾಗಿ ಇಳುವರಿ ಹೆಚ್ಚಿದೆ.",
                "ಇದಕ್ಕೆ ಮಳೆಯೇ ಕಾರಣ ಎಂದು ಅಧಿಕಾರಿ ಹೇಳಿದರು.",
            ],
        ),
        (
            '"Are you coming to the fair with us?" she asked. The fair opened at nine that day.',
            ["The fair opened at nine that day."],
        ),
        ("Short.", ["Short."]),
    ],
)
def test_passages_are_the_plain_sentences_without_dateline_or_speech(
    text: str, expected: list[str]
) -> None:
    assert passages(text) == expected


def test_a_paragraph_of_nothing_but_speech_or_one_endless_sentence_still_has_a_passage() -> None:
    assert passages('"Are you coming to the fair with us today?" she asked.') != []
    endless = passages("क" + "ा" * 3 + " नदी" * 200)
    assert len(endless) == 1 and 0 < len(endless[0]) <= 170
