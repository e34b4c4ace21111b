"""Several tasks at work together: each result is what it would be alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from seemant.core.errors import InputError
from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.protocol import (
    STUDY_SAMPLING,
    Ask,
    Done,
    Sampling,
    Score,
    Task,
)
from tests.models.backends.texts import LONG, SHOTS, seats_of


def tasks_of_all_kinds() -> list[Task]:
    """Answers and scores whose prompts differ in length, some of one prompt, in a mixed order."""
    prompts = [SHOTS + f"Question: {'abc ' * n}?\nAnswer:" for n in range(7)] + ["abc", LONG]
    words = (" a", " the abc", " दिल्ली और मुंबई" * 4, " the")
    return [
        task
        for n, prompt in enumerate(prompts)
        for task in (
            Ask(prompt=prompt, sampling=Sampling(max_new_tokens=1 + 5 * n)),
            Score(context=prompt, continuations=words[n % 2 :]),
            Ask(prompt=prompt, sampling=replace(STUDY_SAMPLING, seed=n), stop=("x",)),
        )
    ]


def alone(path: Path, task: Task) -> Done:
    with LlamaCpp(path, context=512) as fresh:
        if isinstance(task, Ask):
            return fresh.generate(task.prompt, task.sampling, task.stop)
        return fresh.loglikelihood(task.context, task.continuations)


def test_one_seat_does_each_task_as_if_alone(tiny_gguf: Path) -> None:
    tasks = tasks_of_all_kinds()
    with LlamaCpp(tiny_gguf, context=512) as model:
        assert dict(model.work(tasks)) == dict(enumerate(alone(tiny_gguf, t) for t in tasks))


def test_what_stands_beside_changes_no_bit_of_a_float_model(tiny_gguf: Path) -> None:
    tasks = tasks_of_all_kinds()
    expected = dict[int, Done]()
    for index, task in enumerate(tasks):
        with LlamaCpp(tiny_gguf, context=512, seats=8) as fresh:
            expected[index] = dict(fresh.work([task]))[0]
    for seats in (2, 5, 8, 70):
        with LlamaCpp(tiny_gguf, context=512, seats=seats) as model:
            assert dict(model.work(tasks)) == expected
            backwards = dict(model.work(tasks[::-1]))
            assert {len(tasks) - 1 - index: done for index, done in backwards.items()} == expected
    for index, done in expected.items():  # a lone row is summed in another order
        other = alone(tiny_gguf, tasks[index])
        if isinstance(done, list) and isinstance(other, list):
            assert [d.nats for d in done] == pytest.approx([d.nats for d in other], abs=1e-3)


@pytest.mark.real
@pytest.mark.parametrize("name", ["gemma_gguf", "smol_gguf"])
def test_side_by_side_is_as_alone_to_the_last_bit(
    name: str, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(name)
    tasks: list[Task] = [
        Ask(
            prompt="Question: What is the capital of India?\nAnswer:",
            sampling=Sampling(max_new_tokens=12),
        ),
        Score(context="प्रश्न: आकाश का रंग?\nउत्तर:", continuations=(" नीला", " हरा और पीला और लाल")),
        Ask(
            prompt="ಪ್ರಶ್ನೆ: ಭಾರತದ ರಾಜಧಾನಿ?\nಉತ್ತರ:",
            sampling=replace(STUDY_SAMPLING, seed=3, max_new_tokens=9),
        ),
    ]
    with LlamaCpp(path, context=512, seats=3) as model:
        assert dict(model.work(tasks)) == dict(enumerate(alone(path, task) for task in tasks))


def test_an_answer_and_the_scores_of_one_prompt_mostly_read_it_once(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LlamaCpp(tiny_gguf, context=512, seats=4) as model:
        read: list[list[int]] = []
        evaluate = seats_of(model).evaluate
        monkeypatch.setattr(
            seats_of(model), "evaluate", lambda *given: (read.append(given[1]), evaluate(*given))[1]
        )
        assert len(dict(model.work(tasks_of_all_kinds()))) == 27
    assert 9 <= len(read) <= 12  # towards the end a seat rather reads again than stands idle


def test_what_comes_of_no_task_is_nothing(model: LlamaCpp) -> None:
    assert list(model.work([])) == []
    assert model.loglikelihood(SHOTS, []) == []


def test_other_use_of_a_model_ends_the_work_that_it_disturbs(tiny_gguf: Path) -> None:
    with LlamaCpp(tiny_gguf, context=512, seats=2) as model:
        work = model.work(tasks_of_all_kinds())
        next(work)
        model.generate("abc", Sampling())
        with pytest.raises(RuntimeError, match="another evaluation"):
            list(work)


def test_work_on_a_model_that_was_closed_says_so_instead_of_ending_the_process(
    tiny_gguf: Path,
) -> None:
    with LlamaCpp(tiny_gguf, context=512, seats=2) as model:
        work = model.work(tasks_of_all_kinds())
        next(work)
    with pytest.raises(RuntimeError, match="closed"):
        list(work)


def test_a_task_that_does_not_fit_is_refused_before_any_is_done(tiny_gguf: Path) -> None:
    fits = Ask(prompt="abc", sampling=Sampling(max_new_tokens=4))
    with LlamaCpp(tiny_gguf, context=512, seats=2) as model:
        for bad in (
            Ask(prompt="x" * 600, sampling=Sampling()),
            Score(context="x" * 400, continuations=(" a", " " + "y" * 200)),
        ):
            with pytest.raises(InputError, match="512"):
                next(model.work([fits, bad]))
