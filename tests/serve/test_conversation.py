"""A conversation as a prompt."""

import pytest

from seemant.models.prompts import Template
from seemant.serve.conversation import prompt_of
from seemant.serve.requests import Message

PLAIN = Template("plain", "<eos>")


def talk(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=text) for role, text in turns]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "label"),
    [("भारत की राजधानी?", "उत्तर:"), ("ಭಾರತದ ರಾಜಧಾನಿ?", "ಉತ್ತರ:"), ("India Capital?", "Answer:")],
)
def test_a_plain_prompt_is_worded_in_the_questions_script(question: str, label: str) -> None:
    prompt = prompt_of(PLAIN, talk(("user", question)), None)
    assert prompt.text.endswith(f"{question}\n{label}")
    assert prompt.text == PLAIN.render(question, {"उत्तर:": "hi", "ಉತ್ತರ:": "kn"}.get(label, "en"))  # type: ignore[arg-type]
    assert all(stop.startswith("\n") for stop in prompt.stops)


def test_a_question_without_letters_is_asked_in_english_or_as_told() -> None:
    assert prompt_of(PLAIN, talk(("user", "2 + 2?")), None).text.endswith("Answer:")
    assert prompt_of(PLAIN, talk(("user", "2 + 2?")), "kn").text.endswith("ಉತ್ತರ:")


def test_earlier_turns_stand_before_with_their_answers() -> None:
    messages = talk(
        ("system", "Be brief."), ("user", "a?"), ("assistant", " b "), ("user", "नमस्ते?")
    )
    assert prompt_of(PLAIN, messages, None).text == (
        "Be brief.\n\nQuestion: a?\nAnswer: b\n\nप्रश्न: नमस्ते?\nउत्तर:"
    )


def test_a_chat_template_gets_every_turn() -> None:
    source = "{% for m in messages %}[{{ m.role }}|{{ m.content }}]{% endfor %}"
    messages = talk(("developer", "s"), ("user", "q"), ("assistant", "a"), ("user", "r"))
    prompt = prompt_of(Template("chat", "<end>", source), messages, None)
    assert prompt.text == "[system|s][user|q][assistant|a][user|r]"
    assert prompt.stops == ("<end>",)
