import os
from pathlib import Path

import pytest

from seemant.core.hashing import file_sha256
from seemant.corpus import fingerprint as module
from seemant.corpus.fingerprint import corpus_inputs, fingerprint


def test_a_small_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    before = fingerprint(path)
    assert before == file_sha256(path)
    os.utime(path, ns=(1, 1))
    assert fingerprint(path) == before


def test_a_huge_file_is_known_by_size_time_and_spread_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE_UP_TO_BYTES", 1000)
    monkeypatch.setattr("seemant.core.hashing._BLOCK_BYTES", 10)
    path = tmp_path / "a.txt"
    seen = set()
    changes = [b"a" * 5000, b"b" + b"a" * 4999, b"a" * 4999 + b"b", b"a" * 5001]
    for content in changes:
        path.write_bytes(content)
        os.utime(path, ns=(7, 7))
        seen.add(fingerprint(path))
    assert len(seen) == 4
    assert fingerprint(path) in seen
    os.utime(path, ns=(8, 8))
    assert fingerprint(path) not in seen


def test_several_files_are_inputs_in_the_order_named(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / name).write_text(name)
    inputs = corpus_inputs([tmp_path / "b", tmp_path / "a"])
    assert list(inputs) == ["files/0", "files/1"]
    assert inputs["files/0"].label == str(tmp_path / "b")
