"""A folder is filled by one living process at a time."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seemant.core import lock
from seemant.core.errors import Locked
from seemant.core.lock import folder_lock

HOLD = (
    "import sys, time; from pathlib import Path; from seemant.core.lock import folder_lock\n"
    "with folder_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_held_folder_is_refused_and_the_holder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "GRACE_S", 0.2)
    with holder(tmp_path) as process:
        with pytest.raises(Locked, match=str(process.pid)), folder_lock(tmp_path):
            pass
        process.kill()


def test_a_lock_left_by_kill_9_is_stale_and_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / ".lock").exists()
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_can_be_locked_again_after_release(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_who_waited_for_a_folder_that_was_removed_gets_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, opened, got = tmp_path / "out", threading.Event(), list[bool]()
    open_it = lock._opened

    def said(folder: Path) -> int:
        descriptor = open_it(folder)
        opened.set()
        return descriptor

    def wait() -> None:
        with folder_lock(out):
            got.append((out / ".lock").is_file())

    with folder_lock(out):
        monkeypatch.setattr(lock, "_opened", said)
        waiter = threading.Thread(target=wait)
        waiter.start()
        opened.wait()
        (out / ".lock").unlink()
        out.rmdir()
    waiter.join()
    assert got == [True]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_filesystem_without_locks_is_warned_of_and_used(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").is_file()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning:") and str(tmp_path) in line and "no locks" in line


def test_a_failing_device_is_no_missing_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), folder_lock(tmp_path):
        pass
