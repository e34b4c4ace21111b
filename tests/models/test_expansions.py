"""The name of an expansion tells files apart that share size, time and beginning."""

import os
from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.models.expansions import expansion_of, make_room

pytestmark = pytest.mark.usefixtures("own_cache")


def test_two_variants_of_one_size_and_time_have_expansions_of_their_own(tmp_path: Path) -> None:
    head = bytes(1 << 20)  # the same metadata and first tensors
    found = set()
    for name, rest in (("a", b"q"), ("b", b"r")):
        path = tmp_path / name
        path.write_bytes(head + rest * (1 << 20))
        os.utime(path, ns=(7, 7))
        found.add(expansion_of(path))
    assert len(found) == 2


def test_a_missing_file_has_none(tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        expansion_of(tmp_path / "none.gguf")


def test_the_least_recently_used_expansions_go_when_the_cache_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path))
    folders = []
    for i in range(4):
        folder = tmp_path / "torch" / f"{i:016x}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"x" * 100)
        os.utime(folder, (1000 + i, 1000 + i))
        folders.append(folder)
    os.utime(folders[1])  # used just now

    removed = make_room(folders[0], keep_bytes=250, keep_seconds=60)

    assert removed == [folders[2], folders[3]]
    assert folders[0].is_dir() and folders[1].is_dir()
    assert make_room(folders[0], keep_bytes=250, keep_seconds=60) == []
