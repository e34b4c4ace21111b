"""The fake study, made once for all tests that only read it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "frontier"))  # `artefacts`, shared with it


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory):
    """Inputs of the report stage for a whole study of few probe families."""
    from fake_study import fake_study

    return fake_study(tmp_path_factory.mktemp("study") / "runs", families=10)
