"""Files told by their content: packed by the tools themselves, in lines, arrays and tables."""

import bz2
import csv
import gzip
import json
import lzma
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
import zstandard

from seemant.core.errors import BadFile
from seemant.core.sources import numbered_lines, open_source

ROWS = [{"id": n, "text": f"पंक्ति {n}: \u2028 नाव, \"दो\"; \x85 'तीन'"} for n in range(6)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def rows_of(path: Path, *, records: bool = True) -> list[object]:
    source = open_source(path, records=records)
    return [json.loads(raw) for _, _, raw in numbered_lines(source, 1 << 28)]


def skippable(data: bytes) -> bytes:
    """Frames as pzstd writes them: each behind a skippable one that holds its size."""
    frames = b""
    for start in range(0, len(data), 200):
        frame = zstandard.ZstdCompressor().compress(data[start : start + 200])
        frames += b"\x50\x2a\x4d\x18\x04\x00\x00\x00" + len(frame).to_bytes(4, "little") + frame
    return frames


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard.ZstdCompressor().compress,
        skippable,
        lambda data: gzip.compress(data[:300]) + gzip.compress(data[300:]),
        lambda data: bz2.compress(data[:300]) + bz2.compress(data[300:]),
        lambda data: lzma.compress(data[:300]) + lzma.compress(data[300:]),
        lambda data: b"\x5f\x2a\x4d\x18\x00\x00\x00\x00" + zstandard.compress(data),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a"])
def test_packing_is_told_by_the_bytes(
    pack: Callable[[bytes], bytes], name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pack(LINES))
    assert rows_of(tmp_path / name, records=False) == ROWS


@pytest.mark.parametrize("tool", ["gzip", "bzip2", "xz", "zstd"])
def test_what_the_tools_pack_is_read(tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here")
    (tmp_path / "a").write_bytes(LINES)
    with (tmp_path / "packed").open("wb") as out:
        subprocess.run([tool, "-c", str(tmp_path / "a")], stdout=out, check=True)
    assert rows_of(tmp_path / "packed", records=False) == ROWS


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_damage_is_told_whatever_the_packing(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    packed = pack(LINES * 50)
    (tmp_path / "short").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "flipped").write_bytes(packed[:40] + bytes(each ^ 255 for each in packed[40:]))
    for name in ("short", "flipped"):
        with pytest.raises(BadFile, match="damaged"):
            rows_of(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        "\ufeff" + json.dumps(ROWS, indent=1),
        "\n".join(json.dumps(row, indent=4) for row in ROWS),  # what `jq .` writes
        ",\n".join(json.dumps(row) for row in ROWS),
        "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
        json.dumps({"version": 1, "data": ROWS}, indent=2),
        "\r\n".join(json.dumps(row) for row in ROWS),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.txt", "a.jl", "a.jsonlines", "a.ndjson", "a"])
def test_json_is_told_by_the_content(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert rows_of(tmp_path / name, records=False) == ROWS


def test_values_have_the_offset_at_which_they_begin(tmp_path: Path) -> None:
    content = ("\ufeff" + json.dumps(ROWS, ensure_ascii=False, indent=2)).encode()
    (tmp_path / "a.json").write_bytes(content)
    source = open_source(tmp_path / "a.json")
    for _, offset, raw in numbered_lines(source, 1 << 20):
        assert content[offset:].startswith(raw) and raw.startswith(b"{")


@pytest.mark.parametrize("text", ["[एक] पहली पंक्ति\n", "{एक} नाव\nदूसरी\n", "नाव\n{}\nनाव\n"])
def test_text_with_brackets_is_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert open_source(tmp_path / "a.txt").form == "text"


@pytest.mark.parametrize(("dialect", "name"), [("excel", "a.csv"), ("excel-tab", "a.tsv")])
def test_tables_give_their_rows(dialect: str, name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["id", "text"], dialect=dialect)
        writer.writeheader()
        writer.writerows(ROWS)
    assert rows_of(tmp_path / name) == [row | {"id": str(row["id"])} for row in ROWS]
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(b"id;text\n1;a\n2;\n"))
    assert rows_of(tmp_path / "p.csv.gz") == [{"id": "1", "text": "a"}, {"id": "2", "text": None}]


def test_parquet_gives_its_rows(tmp_path: Path) -> None:
    polars.DataFrame(ROWS).write_parquet(tmp_path / "a")
    assert rows_of(tmp_path / "a") == ROWS


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", b"a,b\n1,2,3\n", "3 cells under a header of 2"),
        ("a.csv", b"a,a\n1,2\n", "first line names its columns"),
        ("a.csv", "q,a\né,b\n".encode("latin-1"), "not UTF-8"),
        ("a.json", b'[{"a": 1}, {"a": ', "not JSON"),
        ("a.json", b'[{"a": 1}', "without its end"),
        ("a.json", b'[{"a": 1}]\n{"a": 2}', "behind the end"),
        ("a.txt", "नाव".encode("utf-16"), "UTF-16"),
        ("a.txt", "plain words".encode("utf-16-le"), "UTF-16"),
        ("a.txt", "plain words".encode("utf-16-be"), "UTF-16"),
        ("a.txt", "plain".encode("utf-32"), "UTF-32"),
        ("a.parquet", b"PAR1 but no more", "Parquet"),
        ("a.arrow", b"ARROW1\0\0", "Arrow"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFile, match=what) as caught:
        rows_of(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
