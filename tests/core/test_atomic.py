"""Files are whole or absent."""

from pathlib import Path

import pytest

from seemant.core.atomic import atomic_path, write_atomic


def test_a_failure_keeps_the_old_content_and_leaves_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_success_replaces_the_content(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert len(list(path.parent.iterdir())) == 1


def test_a_full_disk_says_the_file_and_not_the_temporary_or_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for names in ((), ("source", None, "{}")):
        with pytest.raises(OSError) as caught, atomic_path(path) as temporary:
            said = [each and each.format(temporary) for each in names]
            raise OSError(28, "No space left on device", *said)
        assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    with pytest.raises(OSError) as caught, atomic_path(path):
        raise OSError(28, "No space left on device", "the cache")
    assert caught.value.filename == "the cache"
