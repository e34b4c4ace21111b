"""The docs speak of everything that a user can meet."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from seemant.cli.main import COMMANDS
from seemant.core import errors
from seemant.study.stages import STAGES, stage_named

ROOT = Path(__file__).parents[1]
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_stage_has_its_page_and_its_settings_have_help(name: str) -> None:
    page = "probe" if name == "divergence" else name
    assert (ROOT / "docs" / f"{page}.md").is_file()
    for key, field in stage_named(name).config.model_fields.items():
        assert field.description, f"{name}.{key} has no help text"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_mentioned(name: str) -> None:
    assert f"seemant {name}" in DOCS


def test_every_error_type_is_in_the_tree_of_its_module() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if kind.__module__ == errors.__name__:
            assert name in (errors.__doc__ or "")


def test_every_claim_script_has_its_row() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    for script in (ROOT / "benchmarks").glob("*.py"):
        if script.stem != "claim":
            assert script.stem in results, f"{script.name} has no row in RESULTS.md"


def test_links_between_pages_lead_somewhere() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+\.(?:md|png))\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).is_file(), f"{path.name} links to {target}"


def test_project_files_name_no_place_of_one_machine() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text and str(Path.home()) + "/" not in text, path


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_s_room_has_config_and_run(name: str) -> None:
    module = importlib.import_module(STAGES[name])
    assert module.STAGE.name == name
    assert module.run.__doc__
