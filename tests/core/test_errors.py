"""What the system's errors mean to a user: what happened, where, and what to do."""

import errno
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, DiskFull
from seemant.core.os_errors import from_os_error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_names_no_file_says_the_target(number: int) -> None:
    found = from_os_error(OSError(number, "No space left on device"), Path("out/model.gguf"))
    assert isinstance(found, DiskFull)
    assert found.what == "no space left on the device" and found.where == "out/model.gguf"
    assert found.fix == "free some space, then run it again"


def test_a_full_disk_is_where_a_copy_went_and_not_its_source() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "source", None, "target")
    assert from_os_error(error, Path("folder")).where == "target"


def test_a_file_at_its_largest_size_is_a_full_disk_with_a_cure() -> None:
    found = from_os_error(OSError(errno.EFBIG, "File too large"), Path("out/model.gguf"))
    assert isinstance(found, DiskFull) and found.exit_code == 1
    assert found.where == "out/model.gguf"
    assert found.fix and "ulimit -f unlimited" in found.fix


def test_an_error_s_own_file_goes_before_the_target() -> None:
    found = from_os_error(FileNotFoundError(2, "No such file", "mine"), Path("other"))
    assert isinstance(found, BadFile) and found.where == "mine"
