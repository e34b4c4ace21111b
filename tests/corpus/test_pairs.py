"""Pairs in the forms in which data sets publish them; each means the same pair."""

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from seemant.core.errors import BadRecord
from seemant.core.jsonl import Rejected, read_records
from seemant.core.records import Pair
from seemant.corpus.pairs import pair_in, read_pairs

Q, A = "पवोरा नहर साल में कितनी नावें ले जाती है?", "312 नावें"
USER, SAID = {"role": "user", "content": Q}, {"role": "assistant", "content": A}


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": Q, "input": "", "output": A, "lang": "hi"},
        {"instruction": Q, "input": None, "output": A, "lang": "Hindi", "id": 17},
        {"instruction": Q, "output": A, "language": "hi-IN"},
        {"messages": [USER, SAID]},
        {"messages": [USER | {"content": [{"type": "text", "text": Q}]}, SAID]},
        {"messages": json.dumps([USER, SAID])},
        [USER, SAID],
        {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
        {"prompt": Q, "completion": A},
        {"prompt": [USER], "completion": [SAID]},
        {"question": Q, "answer": A},
        {"Question": Q, "Answer": A},
        {"प्रश्न": Q, "उत्तर": A},
        {"query": Q, "response": A},
        {"question": Q, "answers": {"text": [A, "and more"], "answer_start": [0, 1]}},
        {"input": Q, "output": A},
        {"instruction": Q, "context": "", "response": A, "category": "closed_qa"},
    ],
)
def test_every_form_is_the_same_pair(record: Any) -> None:
    pair = pair_in(json.dumps(record))
    assert (pair.instruction, pair.input, pair.output, pair.lang) == (Q, "", A, "hi")


def test_the_language_is_told_by_script_where_none_is_given() -> None:
    assert pair_in('{"question": "ಎಷ್ಟು ದೋಣಿ?", "answer": "312"}').lang == "kn"
    assert pair_in('{"question": "How many boats?", "answer": 312}').output == "312"


def test_a_system_text_stands_before_the_question_and_a_context_is_the_input() -> None:
    pair = pair_in(
        json.dumps({"messages": [{"role": "system", "content": "Be brief."}, USER, SAID]})
    )
    assert pair.instruction == f"Be brief.\n\n{Q}"
    assert pair_in(json.dumps({"question": Q, "context": "नहर", "answer": A})).input == "नहर"


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"messages": [USER, SAID, USER, SAID]}, "2 questions and 2 answers"),
        ({"messages": [USER]}, "0 answers"),
        ({"messages": [USER, {"role": "tool", "content": "3"}, SAID]}, "'tool'"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "other than text"),
        ({"messages": 3}, "no list of turns"),
        ({"text": "### Question: ..."}, "no question"),
        ({"question": Q}, "no answer"),
        ({"prompt": Q, "chosen": A, "rejected": "x"}, "preference"),
        ({"question": "12?", "answer": "13"}, "no `lang`"),
        ({"question": Q, "answer": {"x": 1}}, "no answer"),
        ([Q, A], "not a JSON object"),
    ],
)
def test_what_is_no_pair_says_why(record: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pair_in(json.dumps(record))


def test_files_of_every_kind_give_the_same_pairs(tmp_path: Path) -> None:
    rows = [{"question": f"{Q} {n}", "answer": A} for n in range(3)]
    polars.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    polars.DataFrame(rows).write_csv(tmp_path / "a.csv")
    polars.DataFrame(rows).write_ndjson(tmp_path / "a.ndjson")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    found = {name: read_pairs(tmp_path / name) for name in ("a.parquet", "a.csv", "a.ndjson")}
    wanted = [Pair(instruction=row["question"], output=A, lang="hi") for row in rows]
    assert all(pairs == wanted for pairs in found.values())
    assert read_pairs(tmp_path / "a.json") == wanted


def test_chats_without_a_name_are_read_a_line_each_and_in_an_array(tmp_path: Path) -> None:
    chats = [[USER, SAID], [USER, SAID | {"content": "97"}]]
    for name, text in (
        ("a.jsonl", "\n".join(map(json.dumps, chats))),
        ("b.json", json.dumps(chats)),
        ("c.txt", json.dumps(chats, indent=1)),
    ):
        (tmp_path / name).write_text(text)
        assert [pair.output for pair in read_pairs(tmp_path / name)] == [A, "97"]


def test_bad_records_are_set_aside_and_a_file_of_them_says_what_to_do(tmp_path: Path) -> None:
    path, aside = tmp_path / "a.jsonl", tmp_path / "rejected.jsonl"
    path.write_text(f'{{"text": "x"}}\n{json.dumps({"messages": [USER, SAID]})}\n')
    assert len(read_pairs(path, rejected=aside)) == 1
    (bad,) = read_records(aside, Rejected)
    assert bad.line == 1 and "text" in bad.reason
    path.write_text('{"text": "x"}\n')
    with pytest.raises(BadRecord, match="its fields are text") as caught:
        read_pairs(path, tolerant=True)
    assert "messages" in str(caught.value)
