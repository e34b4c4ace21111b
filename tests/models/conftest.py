"""A cache of its own for every test of this room, so that nothing is left behind."""

from pathlib import Path

import pytest


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEEMANT_CACHE", str(folder))
    return folder
