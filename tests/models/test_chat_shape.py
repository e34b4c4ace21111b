"""Where an answer stands in a template's words: its end, the white space around it, refusals."""

import pytest

from seemant.models.chat_shape import TurnShape, shape_of
from tests.models import chat_sources as sources

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (sources.GENERATION, TurnShape("<|im_end|>")),
        (sources.DATED, TurnShape("<|end|>")),
        (sources.EOS_TURNS, TurnShape("</s>")),
        (sources.INST, TurnShape("</s>", lead=" ")),
        (sources.PHI, TurnShape("<|end|>")),
        (sources.PARTS, TurnShape("<end_of_utterance>", in_parts=True)),
        (sources.EMPTY_THOUGHT, TurnShape("<|im_end|>", thinks=True)),
        (sources.SPACED, TurnShape("<sep>", lead=" ", gap="\n\n")),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", TurnShape()),
    ],
)
def test_an_answer_ends_and_begins_as_the_template_writes_it(
    source: str, wanted: TurnShape
) -> None:
    assert shape_of(source, SPECIALS) == wanted


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (sources.OPEN_THOUGHT, "<think>"),
        (sources.CHANNEL, "<|channel|>final<|message|>"),
        ("{{ functions.x }}", "'functions' is undefined"),
        ("{{ messages[0].content }}", "does not show an answer"),
    ],
)
def test_a_template_whose_answer_does_not_follow_its_prompt_says_why(source: str, why: str) -> None:
    assert why in shape_of(source, SPECIALS).unlike
