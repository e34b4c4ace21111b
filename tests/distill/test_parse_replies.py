"""What teachers write is read where it can be, and never raises."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.records import LANGUAGES, Lang
from seemant.distill.parse import Parsed, json_fault, parse_completion, parse_json


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("hi", "कब हुआ?\nउत्तर: बुधवार\n", Parsed("कब हुआ?", "बुधवार", True)),
        ("hi", " कब हुआ? \n  उत्तर : बुधवार", Parsed("कब हुआ?", "बुधवार", False)),
        ("kn", "ಏನು?\nಉತ್ತರ：ಕೊಬ್ಬು\nಉತ್ತರ: ನೀರು", Parsed("ಏನು?", "ಕೊಬ್ಬು", True)),
        ("en", "Who?\nAnswer: a man: his name\nmore", Parsed("Who?", "a man: his name", True)),
        ("en", "Who?\nAnswer:", None),
        ("en", "Who?\nAnswer:\nA man", None),
        ("en", "Who? Answer: a man", None),
        ("en", "Who?\nWhat?\nAnswer: a man", None),
        ("hi", "कब हुआ?\nಉತ್ತರ: बुधवार", None),
        ("en", "", None),
    ],
)
def test_a_completion_is_a_line_of_question_and_a_line_of_answer(
    lang: Lang, text: str, expected: Parsed | None
) -> None:
    assert parse_completion(text, lang) == expected


PAIR = {"instruction": "कब?", "output": "बुधवार"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PAIR),
        json.dumps(PAIR, ensure_ascii=False, indent=2),
        f"Sure! Here it is:\n```json\n{json.dumps(PAIR)}\n```\nAnything else?",
        f"<think>{{not json}} and {{}}</think>{json.dumps(PAIR)}",
        json.dumps([PAIR]),
        json.dumps({"pair": PAIR}),
        json.dumps({"question": " कब? ", "answer": "बुधवार"}),
        json.dumps(PAIR) + json.dumps({"instruction": "second", "output": "second"}),
    ],
)
def test_the_first_whole_object_counts_wherever_it_stands(text: str) -> None:
    assert parse_json(text) == Parsed("कब?", "बुधवार", True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no braces",
        '{"instruction": "कब?"',
        '{"instruction": "कब?", "output": ""}',
        '{"instruction": "कब?", "output": true}',
        '{"instruction": ["कब?"], "output": "x"}',
        "{" * 100_000,
        "[" * 100_000 + "{",
        '{"a":' * 5_000,
    ],
)
def test_what_holds_no_pair_gives_none(text: str) -> None:
    assert parse_json(text) is None


def test_half_a_surrogate_pair_does_not_reach_the_files() -> None:
    found = parse_json('{"instruction": "a\\ud800?", "output": "b"}')
    assert found is not None
    assert found.question.encode() == b"a??"


@given(st.text(), st.sampled_from(LANGUAGES))
def test_parsing_never_raises(text: str, lang: Lang) -> None:
    for found in (parse_completion(text, lang), parse_json(text)):
        assert found is None or (found.question and found.answer)


@given(st.text(alphabet='{}[]":,\\ au0', max_size=200))
def test_parsing_of_near_json_never_raises(text: str) -> None:
    found = parse_json(text)
    assert found is None or (found.question and found.answer)


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_any_pair_survives_the_way_through_json(question: str, answer: str) -> None:
    text = json.dumps({"instruction": question, "output": answer})
    assert parse_json(text) == Parsed(question.strip(), answer.strip(), True)


@pytest.mark.parametrize(
    "text",
    [
        '{\n  "instruction": "कब?",\n  "output": "बुधवार\n"\n}',
        '{"instruction": "कब?", "output": "बुधवार",\n}',
        "{'instruction': 'कब?', 'output': 'बुधवार'}",
        "{instruction: 'कब?', output: 'बुधवार'}",
        "{“instruction”: “कब?”, “output”: “बुधवार”}",
        '{"instruction": "कब?", "output": "बुधवार"',
        '```json\n{"instruction": "कब?", "output": "बुधवार"\n```',
        '{"Instruction": "कब?", "Output": "बुधवार"}',
        '{"instruction": "the question", "output": "the answer"}\n{"instruction": "कब?", '
        '"output": "बुधवार"}',
        'Sure: {"instruction": "कब?",, "output": "बुधवार"} Done.',
        '{"instruction": "कब?" "output": "बुधवार"} and {"question": "कब?", "answer": "बुधवार"}',
        '{"instruction": "कब?", // asks when\n "output": "बुधवार"}',
    ],
)
def test_near_json_is_mended(text: str) -> None:
    assert parse_json(text) == Parsed("कब?", "बुधवार", True)


def test_quotes_inside_a_text_and_escapes_survive_the_mending() -> None:
    text = '{"instruction": "Who said "no" first?", "output": "Tovi\\nof \\"Korin\\"",}'
    assert parse_json(text) == Parsed('Who said "no" first?', 'Tovi\nof "Korin"', True)
    assert parse_json("{'instruction': 'What\\'s it?', 'output': 'it\\'s 5'}") == Parsed(
        "What's it?", "it's 5", True
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("no braces", ""),
        ('{"instruction": "कब?", "outp', "JSON that breaks off"),
        ('{"instruction": "कब?", "output": "बुध', "JSON that breaks off"),
        ('{"instruction": "कब?",', "JSON that breaks off"),
        ('{"instruction"; 3}', "broken JSON: Expecting ':' delimiter"),
        ('{"answer": "x"}', "JSON without instruction and output"),
    ],
)
def test_json_that_cannot_be_mended_is_named(text: str, fault: str) -> None:
    assert parse_json(text) is None
    assert json_fault(text) == fault


def test_an_answer_may_be_a_number() -> None:
    assert parse_json('{"instruction": "कितने?", "output": 312}') == Parsed("कितने?", "312", True)
