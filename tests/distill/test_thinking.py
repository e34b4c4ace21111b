"""Thinking is no answer: what stands behind it counts, in every mark that models write."""

import pytest

from seemant.distill.thinking import behind_thinking

ANSWER = '{"instruction": "कब?", "output": "बुधवार"}'
DRAFT = '{"instruction": "the question", "output": "999"}'


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{DRAFT}</think>{{answer}}",
        f"\n<think>\n{DRAFT}\n</think>\n\n{{answer}}",
        f"Let me see: {DRAFT}\n</think>\n\n{{answer}}",  # the template opened it
        f"<think>one</think><think>{DRAFT}</think>{{answer}}",
        f"<think>what does <think> mean? {DRAFT}</think>{{answer}}",
        f"<think>a <think>b {DRAFT}</think> c</think>{{answer}}",
        f"<thinking>{DRAFT}</thinking> {{answer}}",
        f"<THINK>{DRAFT}</THINK> {{answer}}",
        f"[THINK]{DRAFT}[/THINK]{{answer}}",
        f"◁think▷{DRAFT}◁/think▷{{answer}}",
        f"<|START_THINKING|>{DRAFT}<|END_THINKING|>{{answer}}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final"
        "<|message|>{answer}<|return|>",
        f"analysisThe user wants {DRAFT}.assistantfinal{{answer}}",
        "{answer}",
        "Here it is:\n```json\n{answer}\n```",
    ],
)
def test_what_stands_behind_the_thinking_is_left(text: str) -> None:
    behind = behind_thinking(text.replace("{answer}", ANSWER))
    assert behind is not None and ANSWER in behind and "999" not in behind


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\n{DRAFT}",
        f"<think>{DRAFT}</think>",
        f"<think>{DRAFT}</think>\n \n",
        f"[THINK]{DRAFT}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|>",
        "<think>a</think><think>b",
    ],
)
def test_nothing_but_thinking_is_nothing(text: str) -> None:
    assert behind_thinking(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"instruction": "What ends with </think>?", "output": "a thought"}',
        '{"instruction": "What does <think> open?", "output": "[THINK]"}',
        "plain words",
        "",
    ],
)
def test_marks_inside_an_answer_stay(text: str) -> None:
    assert behind_thinking(text) == (text or None)
