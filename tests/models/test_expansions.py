"""The name of an expansion tells files apart that share size, time and beginning."""

import os
from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.models.expansions import expansion_of

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
