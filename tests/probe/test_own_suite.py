"""A user's own questions: tables and JSON Lines as people have them, bad lines by their numbers."""

import json
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, BadRecord
from seemant.core.jsonl import Rejected, read_records
from seemant.probe.own_suite import read_own
from seemant.probe.suites import load_suite

QUESTIONS = [
    ("भारत की राजधानी क्या है?", "नई दिल्ली"),
    ("एक सप्ताह में कितने दिन होते हैं?", "सात"),
    ("ಭಾರತದ ರಾಜಧಾನಿ ಯಾವುದು?", "ನವದೆಹಲಿ"),
    ("What is the capital of France?", "Paris"),
]


def own(tmp_path: Path, text: str, name: str = "own.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    return path


def table(mark: str = ",", head: str = "question,answer", end: str = "\n") -> str:
    rows = [head.split(","), *QUESTIONS]
    return end.join(mark.join(row) for row in rows) + end


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (table(), "own.csv"),
        (table(";"), "own.csv"),
        (table("\t"), "own.tsv"),
        (table(), "own.txt"),
        ("\ufeff" + table(), "own.csv"),
        (table(end="\r\n"), "own.csv"),
        (table(head="Question,Answer"), "own.csv"),
        (table(head="prompt,output"), "own.csv"),
        ("\n\n" + table(), "own.csv"),
        ("\n".join(json.dumps({"question": q, "answer": a}) for q, a in QUESTIONS), "own.jsonl"),
        ("\n".join(json.dumps({"question": q, "accepted": [a]}) for q, a in QUESTIONS), "own.csv"),
        (json.dumps([{"prompt": q, "output": a} for q, a in QUESTIONS], indent=1), "own.json"),
    ],
)
def test_questions_come_in_under_any_name(tmp_path: Path, text: str, name: str) -> None:
    found = load_suite(own(tmp_path, text, name))
    assert [(p.question, p.accepted[0]) for p in found] == QUESTIONS
    assert [p.lang for p in found] == ["hi", "hi", "kn", "en"]
    assert {p.category for p in found} == {"own"}


def test_several_answers_an_id_and_own_wrong_answers(tmp_path: Path) -> None:
    text = (
        "id,question,answer,wrong,lang\n"
        'capital,"भारत की, राजधानी?","नई दिल्ली|दिल्ली","मुंबई|चेन्नई",hi\n'
        'capital,"India, capital?","New Delhi|Delhi","Mumbai",English\n'
    )
    hindi, english = load_suite(own(tmp_path, text))
    assert (hindi.id, english.id) == ("capital.hi", "capital.en"), "one family in two languages"
    assert hindi.accepted == ("नई दिल्ली", "दिल्ली")
    assert hindi.distractors == ("मुंबई", "चेन्नई")


def test_wrong_answers_are_borrowed_from_other_questions_of_the_language(tmp_path: Path) -> None:
    rows = [("क?", "एक"), ("ख?", "दो"), ("ग?", "एक "), ("घ?", "तीन"), ("What?", "one")]
    text = "question,answer\n" + "".join(f"{q},{a}\n" for q, a in rows)
    found = {p.question: p for p in load_suite(own(tmp_path, text))}
    assert found["क?"].distractors == ("दो", "तीन"), "never one's own answer"
    assert found["What?"].distractors == (), "nothing to borrow in English"


def test_bad_lines_are_set_aside_with_their_line_numbers(tmp_path: Path) -> None:
    text = 'question,answer\nक?,एक\n,दो\nख?,\n"ग\nघ?",तीन\nWer?,ich,extra\nசென்னை?,ஆம்\n'
    rejected = tmp_path / "rejected.jsonl"
    found = load_suite(own(tmp_path, text), rejected=rejected)
    assert [p.question for p in found] == ["क?", "ग\nघ?"]
    aside = {each.line: each.reason for each in read_records(rejected, Rejected)}
    assert set(aside) == {3, 4, 7, 8}
    assert aside[3] == "no question" and aside[4] == "no answer"
    assert "3 cells under 2 names" in aside[7]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("question,answer\nक?,\n", 2, "no answer"),
        ('{"question": "क?", "answer": "एक", "lang": "mr"}\n', 1, "'mr' is not carried"),
        ('{"question": "क?", "answer": "एक"}\n{"question": \n', 2, "not JSON"),
        ("question,answer\n", None, "no question"),
    ],
)
def test_a_file_without_leave_for_bad_lines_is_refused_at_the_line(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    path = own(tmp_path, text)
    with pytest.raises(BadRecord, match=words) as refused:
        read_own(path)
    assert refused.value.where == (f"{path}:{line}" if line else str(path))
    assert "question" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"text,label\na,b\n", "no column 'question'"),
        (b"question,lang\na,b\n", "no column 'answer'"),
        ("question,answer\nक?,एक\n".encode("utf-16"), "binary"),
        (b"PK\x03\x04\x00\x00", "binary"),
        ("question,answer\nca?,\xe9\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_what_is_no_table_of_questions_is_one_sentence(
    tmp_path: Path, data: bytes, words: str
) -> None:
    path = tmp_path / "own.csv"
    path.write_bytes(data)
    with pytest.raises(BadFile, match=words):
        read_own(path)
