"""From what a user writes to an input of a stage."""

from pathlib import Path

import pytest

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.errors import BadFile
from seemant.core.stage import execute, file_input
from seemant.models.backends.tiny import write_tiny
from seemant.models.resolve import resolve
from seemant.study.inputs import as_input, refuse_plain_text


def test_an_artefact_as_a_model_has_a_label_that_is_a_reference(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.gguf")
    given = {"model": file_input(tmp_path / "tiny.gguf", "path:tiny.gguf")}
    done = execute(COMPRESS, CompressConfig(bits=8), given, store=tmp_path / "runs")
    for text in (str(done.path), f"run:{done.path}"):
        model = as_input(text, "model")
        assert model.label == f"run:{done.path}"
        assert model.sha256 == done.manifest.content_sha256
        assert resolve(model.label).subject == "tiny/q8_0-g32"


@pytest.mark.parametrize("text", ["गाँव का कुआँ\n", "\ufeffA line.\n", "\n\n1. ಸಾಲು\n"])
def test_plain_text_where_paragraphs_are_read_is_told_from_records(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "my.txt"
    path.write_text(text, encoding="utf-8")
    given = {"paragraphs": as_input(str(path), "paragraphs")}
    for stage in ("distill", "divergence", "attribution", "qat"):
        with pytest.raises(BadFile) as refused:
            refuse_plain_text(stage, given)
        assert str(refused.value.fix).startswith(f"seemant corpus sample {path}")
    refuse_plain_text("trim", given)  # reads plain text too


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.jsonl", b'{"id": "a"}\n'),
        ("p.jsonl", b"\x1f\x8b\x08\x00"),
        ("p.jsonl", b""),
        ("p.csv", b"\xef\xbb\xbfid,lang,text\na,en,Rain.\n"),
        ("p.tsv", b"id\tlang\ttext\na\ten\tRain.\n"),
    ],
)
def test_records_tables_and_packed_files_are_left_to_their_reader(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    refuse_plain_text("distill", {"paragraphs": as_input(str(path), "paragraphs")})
