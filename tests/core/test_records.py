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
