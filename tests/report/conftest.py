"""The fake study, made once for all tests that only read it."""

import pytest


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory):
    """Inputs of the report stage for a whole study of few probe families."""
    from tests.report.fake_study import fake_study

    return fake_study(tmp_path_factory.mktemp("study") / "runs", families=10)
