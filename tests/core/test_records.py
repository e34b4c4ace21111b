"""Records: NFC, validation, bad lines set aside and counted."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import BadFile, BadRecord
from seemant.core.jsonl import Rejected, read_records, write_records
from seemant.core.records import Pair, Paragraph, Probe

GOOD = {"id": "hi-1", "lang": "hi", "text": "नमस्ते"}


@given(st.text(min_size=1))
def test_texts_become_nfc(text: str) -> None:
    paragraph = Paragraph(id="a", lang="hi", text=text)
    assert paragraph.text == unicodedata.normalize("NFC", text)


def test_written_records_read_back_equal(tmp_path: Path) -> None:
    pairs = [
        Pair(instruction="क?", output="ख", lang="hi"),
        Pair(instruction="a", output="b", lang="en"),
    ]
    write_records(tmp_path / "pairs.jsonl", pairs)
    assert read_records(tmp_path / "pairs.jsonl", Pair) == pairs


def test_bad_lines_are_set_aside_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        json.dumps(GOOD).encode(),
        b"{broken",
        b'{"id":"x","lang":"fr","text":"a"}',
        b"\xff\xfe",
        b"",
    ]
    path.write_bytes(b"\n".join(lines))
    rejected = tmp_path / "rejected.jsonl"
    assert [p.id for p in read_records(path, Paragraph, rejected=rejected)] == ["hi-1"]
    aside = read_records(rejected, Rejected)
    assert [(r.line, r.file) for r in aside] == [(n, str(path)) for n in (2, 3, 4)]
    assert "lang" in aside[1].reason
    assert "UTF-8" in aside[2].reason


def test_a_bad_line_without_a_place_for_it_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(GOOD) + "\n{}\n")
    with pytest.raises(BadRecord) as caught:
        read_records(path, Paragraph)
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}\n", b"not json\n"])
def test_a_file_without_a_valid_line_is_wrong_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadRecord) as caught:
        read_records(path, Paragraph, rejected=tmp_path / "rejected.jsonl")
    assert caught.value.exit_code == 2
    assert caught.value.fix and "text" in caught.value.fix


def test_a_binary_or_missing_file_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "model.bin"
    binary.write_bytes(b"GGUF\0\0\1")
    for path in (binary, tmp_path / "none.jsonl"):
        with pytest.raises(BadFile) as caught:
            read_records(path, Paragraph)
        assert caught.value.where == str(path)


def test_a_probe_knows_its_family() -> None:
    probe = Probe(
        id="capital-of-x.kn", lang="kn", category="c", question="q", accepted=["a"], distractors=[]
    )
    assert probe.family == "capital-of-x"


PAIR = {"instruction": "क?", "output": "ख", "lang": "hi"}


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff\ufeff"])
def test_a_byte_order_mark_is_no_content(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f"{mark}{json.dumps(GOOD)}\r\n{mark}{json.dumps(GOOD)}\r\n")
    assert [p.text for p in read_records(path, Paragraph)] == ["नमस्ते"] * 2


@pytest.mark.parametrize("field", ["input", "id", "paragraph_id", "teacher", "checks"])
@pytest.mark.parametrize("empty", ["null", "NaN"])
def test_null_is_absent(field: str, empty: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(PAIR)[:-1] + f', "{field}": {empty}}}\n')
    assert read_records(path, Pair) == [Pair.model_validate(PAIR)]


@pytest.mark.parametrize(("id", "read"), [("17", "17"), ('"17"', "17"), ("17.0", "17")])
def test_ids_may_be_numbers(id: str, read: str) -> None:
    assert Pair.model_validate_json(json.dumps(PAIR)[:-1] + f', "id": {id}}}').id == read


@pytest.mark.parametrize("lang", ["hi", "Hindi", "HI", "hi-IN", "hin", "हिन्दी"])
def test_a_language_may_be_written_as_people_do(lang: str) -> None:
    assert Pair.model_validate(PAIR | {"lang": lang}).lang == "hi"


def test_a_required_field_that_is_null_and_an_unknown_language_are_still_wrong() -> None:
    for wrong in ({"output": None}, {"lang": "fr"}, {"id": True}):
        with pytest.raises(ValueError, match="validation error"):
            Pair.model_validate(PAIR | wrong)


def test_a_line_in_another_encoding_is_named_with_its_number(tmp_path: Path) -> None:
    path, aside = tmp_path / "in.jsonl", tmp_path / "rejected.jsonl"
    latin = json.dumps(GOOD | {"text": "né"}, ensure_ascii=False).encode("latin-1")
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + latin + b"\n")
    assert len(read_records(path, Paragraph, rejected=aside)) == 1
    (bad,) = read_records(aside, Rejected)
    assert bad.line == 3 and bad.reason.startswith("not UTF-8")


def test_separators_inside_a_string_end_no_line_and_half_a_pair_is_set_aside(
    tmp_path: Path,
) -> None:
    path, aside = tmp_path / "in.jsonl", tmp_path / "rejected.jsonl"
    odd = json.dumps(GOOD | {"text": "a\x85b\u2028c\u2029d\x0be"}, ensure_ascii=False)
    path.write_text(odd + '\n{"id": "x", "lang": "hi", "text": "\\ud83d half"}\n')
    assert [p.text for p in read_records(path, Paragraph, rejected=aside)] == [
        "a\x85b\u2028c\u2029d\x0be"
    ]
    (bad,) = read_records(aside, Rejected)
    assert bad.line == 2
