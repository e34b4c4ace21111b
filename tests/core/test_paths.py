"""The cache's place: named, else the user's, else a sentence."""

import pwd
from pathlib import Path
from typing import Any

import pytest

from seemant.core.errors import NoPermission, WorldError
from seemant.core.os_errors import from_os_error
from seemant.core.paths import cache_dir


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEEMANT_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)


def nobody(uid: int) -> Any:
    raise KeyError(uid)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"SEEMANT_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/seemant"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/seemant"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/seemant"),
        ({"SEEMANT_CACHE": "~/mine", "HOME": "/h"}, "/h/mine"),
        ({"SEEMANT_CACHE": "नाम की जगह"}, "नाम की जगह"),
    ],
)
def test_the_first_name_counts(
    given: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == Path(place)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(WorldError, match="no home") as caught:
        cache_dir()
    assert "SEEMANT_CACHE" in str(caught.value) and caught.value.exit_code == 1
    monkeypatch.setenv("SEEMANT_CACHE", "/c")
    assert cache_dir() == Path("/c")


def test_a_cache_that_cannot_be_written_is_told_from_any_other_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", "/c")
    inside = from_os_error(PermissionError(13, "Permission denied", "/c/models/a"))
    outside = from_os_error(OSError(30, "Read-only file system", "/r/runs"))
    assert isinstance(inside, NoPermission) and isinstance(outside, NoPermission)
    assert "SEEMANT_CACHE" in str(inside) and "--out" not in str(inside)
    assert "--out" in str(outside)
    monkeypatch.delenv("SEEMANT_CACHE")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert "--out" in str(from_os_error(PermissionError(13, "Permission denied", "/r")))
