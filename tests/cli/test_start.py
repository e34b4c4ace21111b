"""The command line starts without torch, and answers wrong use with exit 2."""

import re
import subprocess
import sys

import pytest

from seemant import __version__
from seemant.cli.main import COMMANDS

SEEMANT = [sys.executable, "-m", "seemant"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SEEMANT, *arguments], capture_output=True, text=True, timeout=60)


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from seemant.cli.main import run; run(['--help']);"
        "print([m for m in ('torch','transformers','numpy','pydantic') if m in sys.modules],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert name in done.stdout


def test_version() -> None:
    assert run("--version").stdout.strip() == __version__


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    text = done.stdout
    if "COMMAND" in text.splitlines()[0]:  # a group: ask each of its commands
        inner = re.findall(r"^│ ([a-z]+)  ", text, flags=re.MULTILINE)
        assert inner
        for sub in inner:
            said = run(name, sub, "--help").stdout
            assert f"Example: seemant {name}" in said
            assert "--json" in said
    else:
        assert f"Example: seemant {name}" in text
        assert "--json" in text


@pytest.mark.parametrize(
    "arguments", [["nope"], ["train"], ["train", "a", "b", "--stepz", "3"], ["study", "fly"]]
)
def test_wrong_use_is_exit_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr + done.stdout


def test_a_wrong_value_of_a_flag_is_exit_2_and_names_it() -> None:
    done = run("train", "embedded:gemma-3-270m", "pairs.jsonl", "--rank", "many")
    assert done.returncode == 2
    assert "rank" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
