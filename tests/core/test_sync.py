"""Filesystems that lack a sync of folders or files are written to; real faults are told."""

import errno
import os
import stat
from pathlib import Path

import pytest

from seemant.core.atomic import write_atomic
from seemant.core.errors import WorldError
from seemant.core.journal import Journal
from seemant.core.sync import sync_folder


def failing(monkeypatch: pytest.MonkeyPatch, number: int, *, folders_only: bool) -> None:
    """Let fsync fail with an error number."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if folders_only and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return real(descriptor)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("folders_only", [True, False])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_is_written_where_there_is_no_sync(
    number: int, folders_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, number, folders_only=folders_only)
    write_atomic(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text" and len(list(tmp_path.iterdir())) == 1
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"n": 1})
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.entries == [{"n": 1}]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_device_that_fails_is_no_missing_sync(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")
    failing(monkeypatch, number, folders_only=False)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_atomic(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    with Journal(tmp_path / "j.jsonl") as journal, pytest.raises(WorldError):
        journal.append({"n": 1})
    assert (tmp_path / "j.jsonl").read_bytes() == b""


def test_a_folder_that_may_be_written_but_not_read_is_left_unsynced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    sync_folder(tmp_path)
