import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from scipy.stats import chisquare

from seemant.core.errors import BadFile, BadRecord
from seemant.corpus.rules import Rules
from seemant.corpus.sampling import Sample, sample_lines

LINES = [f"paragraph {i} " + "word " * (i % 50) for i in range(400)]
TEXTS = {line.strip() for line in LINES}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def texts(sample: Sample) -> list[str]:
    return [line.text for line in sample.lines]


def test_a_small_file_is_read_whole(plain: Path) -> None:
    sample = sample_lines([plain], 10, seed=0)
    assert sample.method == "scan"
    assert len(set(texts(sample))) == 10
    assert set(texts(sample)) <= TEXTS


def test_a_large_file_is_not(plain: Path) -> None:
    sample = sample_lines([plain], 10, seed=0, block_bytes=256, scan_below_bytes=0)
    assert sample.method == "blocks"
    assert len(set(texts(sample))) == 10
    assert set(texts(sample)) <= TEXTS


def test_the_estimate_of_the_population_covers_the_truth(plain: Path) -> None:
    covered = 0
    for seed in range(40):
        sample = sample_lines([plain], 30, seed=seed, block_bytes=128, scan_below_bytes=0)
        assert sample.estimate is not None
        value, low, high = sample.estimate
        assert low < value < high
        covered += low <= 400 <= high
    assert covered >= 33  # 95 % of 40 is 38; under 33 has a chance of 1 in 1,000


def test_gz_and_zst_are_told_by_their_bytes_not_their_names(plain: Path, tmp_path: Path) -> None:
    data = plain.read_bytes()
    (tmp_path / "a.txt").write_bytes(gzip.compress(data[:9000]) + gzip.compress(data[9000:]))
    frames = zstandard.ZstdCompressor().compress
    (tmp_path / "b.txt").write_bytes(frames(data[:9000]) + frames(data[9000:]))
    for name in ("a.txt", "b.txt"):
        everything = sample_lines([tmp_path / name], 1000, seed=0, scan_below_bytes=0)
        assert set(texts(everything)) == TEXTS
        assert everything.method == "scan"
        offsets = sorted(line.offset for line in everything.lines)
        assert data[offsets[7] :].startswith(b"paragraph 7 ")


def test_plain_and_packed_files_are_one_population(tmp_path: Path) -> None:
    lines = [f"line {i}" for i in range(60)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:45]))
    (tmp_path / "b.gz").write_bytes(gzip.compress("\n".join(lines[45:]).encode()))
    counts: Counter[str] = Counter()
    for seed in range(1500):
        sample = sample_lines([tmp_path / "a.txt", tmp_path / "b.gz"], 4, seed=seed)
        counts.update(texts(sample))
    assert chisquare([counts[line] for line in lines]).pvalue > 1e-3


def test_a_scan_leaves_out_bad_lines_and_stays_uniform(tmp_path: Path) -> None:
    good = [f"good {i}" for i in range(50)]
    data = b"".join(b"\xff bad\n" * (i % 3) + line.encode() + b"\n" for i, line in enumerate(good))
    (tmp_path / "a.txt").write_bytes(data)
    counts: Counter[str] = Counter()
    for seed in range(1500):
        sample = sample_lines([tmp_path / "a.txt"], 4, seed=seed)
        assert len(sample.lines) == 4
        counts.update(texts(sample))
    assert chisquare([counts[line] for line in good]).pvalue > 1e-3


def test_a_truncated_packed_file_is_refused(plain: Path, tmp_path: Path) -> None:
    data = plain.read_bytes() * 20
    for name, packed in {
        "a.gz": gzip.compress(data),
        "a.zst": zstandard.ZstdCompressor().compress(data),
    }.items():
        (tmp_path / name).write_bytes(packed[:-20])
        with pytest.raises(BadFile, match="damaged"):
            sample_lines([tmp_path / name], 5, seed=0)


def test_fewer_lines_than_asked_are_all_taken_with_a_note(plain: Path) -> None:
    sample = sample_lines([plain], 6000, seed=0)
    assert set(texts(sample)) == TEXTS
    assert "400" in sample.notes[0]
    assert texts(sample) != LINES


def test_line_endings_blanks_marks_and_a_missing_last_feed(tmp_path: Path) -> None:
    data = "\ufeffone\r\n\r\n   \t\n\u00a0\n two \n\nthree\nfour".encode()
    (tmp_path / "a.txt").write_bytes(data)
    sample = sample_lines([tmp_path / "a.txt"], 9, seed=0)
    assert set(texts(sample)) == {"one", "two", "three", "four"}
    assert sample.aside == ()


def test_both_methods_see_the_same_population(tmp_path: Path) -> None:
    odd = [b"good", b"", b"\xff\xfe", b"  ", b"nul \0 byte", "க".encode(), b"x" * 300, b"12 34"]
    rows = [b"%d " % i + odd[i % 8] if odd[i % 8].strip() else odd[i % 8] for i in range(800)]
    (tmp_path / "a.txt").write_bytes(b"start of the file\n" * 600 + b"\n".join(rows))
    path = tmp_path / "a.txt"
    scanned = sample_lines([path], 10_000, seed=0)
    members = {line.offset: line.text for line in scanned.lines}
    for seed in range(30):
        drawn = sample_lines([path], 60, seed=seed, block_bytes=100, scan_below_bytes=0)
        assert drawn.method == "blocks"
        for line in drawn.lines:
            assert members[line.offset] == line.text


def test_long_lines_are_cut_on_a_letter_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("कि" * 6000 + "\n" + "short enough\n")
    sample = sample_lines([tmp_path / "a.txt"], 2, seed=0, rules=Rules(max_characters=4999))
    by_cut = {line.cut: line.text for line in sample.lines}
    assert by_cut[False] == "short enough"
    assert by_cut[True] == "कि" * 2499


def test_one_endless_line_costs_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.write("क".encode() * 40_000)
        file.truncate(80 << 20)  # a hole: NUL bytes, far beyond what is looked at
        file.seek(0, 2)
        file.write(b"\nlast line\n")
    sample = sample_lines([tmp_path / "a.txt"], 2, seed=0)
    assert {len(line.text) for line in sample.lines} == {5000, 9}


def test_json_lines_give_their_text_field(tmp_path: Path) -> None:
    rows = [json.dumps({"body": f"text {i}", "id": i}) for i in range(5)]
    rows += ["{broken", json.dumps(["a list"]), json.dumps({"title": "x"}), '{"body": 3}']
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    sample = sample_lines([tmp_path / "a.jsonl"], 9, seed=0, rules=Rules(text_field="body"))
    assert set(texts(sample)) == {f"text {i}" for i in range(5)}
    assert len(sample.aside) == 4
    with pytest.raises(BadRecord, match="no field 'text'") as caught:
        sample_lines([tmp_path / "a.jsonl"], 9, seed=0)
    assert "body" in str(caught.value)


def test_lines_in_no_asked_language_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("हिन्दी पाठ\nಕನ್ನಡ ಪಠ್ಯ\nEnglish text\nதமிழ்\n")
    sample = sample_lines([tmp_path / "a.txt"], 9, seed=0, rules=Rules(languages=("hi", "kn")))
    assert {line.lang for line in sample.lines} == {"hi", "kn"}
    assert [line.reason for line in sample.aside] == ["no asked language"] * 2
    others = Rules(languages=("hi",), others=("kn",))
    quiet = sample_lines([tmp_path / "a.txt"], 9, seed=0, rules=others)
    assert [line.lang for line in quiet.lines] == ["hi"]
    assert len(quiet.aside) == 2


def test_bad_files_say_what_and_where(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "utf16.txt").write_bytes("text".encode("utf-16"))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"\0\0\0"))
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04rest")
    for name, what in {
        "binary": "binary",
        "utf16.txt": "UTF-16",
        "packed.gz": "binary",
        "a.zip": "zip",
        "missing": "no such file",
        ".": "folder",
    }.items():
        with pytest.raises(BadFile, match=what) as caught:
            sample_lines([tmp_path / name], 5, seed=0)
        assert str(tmp_path) in str(caught.value)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_corpus_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "b.txt").write_bytes(b"")
    with pytest.raises((BadFile, BadRecord)) as caught:
        sample_lines([tmp_path / "a.txt", tmp_path / "b.txt"], 5, seed=0)
    assert caught.value.exit_code == 2
    assert (tmp_path / "a.txt").read_bytes() == content


def test_nothing_but_bad_lines_is_an_error_that_counts_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\n\xfe\n")
    with pytest.raises(BadRecord, match=r"not UTF-8 \(2\)"):
        sample_lines([tmp_path / "a.txt"], 5, seed=0)
