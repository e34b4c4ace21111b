"""The newcomer's walk: what README and tutorial say is what the commands take; own text works.

The README's tour is run by `test_readme.py`; `benchmarks/newcomer.py` walks all of it in a clone.
"""

import re
import shlex
from pathlib import Path

import pytest

from seemant.cli.main import COMMANDS, build, run
from seemant.core.jsonl import read_records
from seemant.core.records import Transcript
from seemant.corpus.shipped import shipped

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/tutorial.md")
SMOLLM = "embedded:smollm2-135m-instruct"


def commands(page: str) -> list[str]:
    """Return every line of a page's code blocks that calls seemant."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("seemant ")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_calls_the_command_only_after_it_says_how(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert 0 < text.index(".venv/bin/activate") < text.index("\nseemant ")


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_every_command_of_the_pages_is_one_that_the_parser_takes(line: str) -> None:
    words = shlex.split(line)[1:]
    assert words[0] in COMMANDS
    build(words[0]).parse_args(words, exit_on_error=False, print_error=False)


def write_text(path: Path, lang: str, n: int = 100) -> None:
    lines = [p.text.replace("\n", " ") for p in shipped(lang)][:n]  # type: ignore[arg-type]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.real
@pytest.mark.parametrize("lang", ["hi", "kn"])
def test_a_hundred_lines_in_one_language_are_planned(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "my.txt", lang)
    own = ["study", "plan", "quick", "--set", "corpus=my.txt"]
    assert run(own) == 2, "two languages have no text"
    fix = capsys.readouterr().err.partition("fix:")[2].partition("(or")[0].strip()
    assert shlex.split(fix)[-1] == f"languages={lang}"
    assert run(["study", "plan", *shlex.split(fix)[3:]]) == 0, "the fix is a command that works"
    said = capsys.readouterr().out
    assert ("left out: smollm" in said) == (lang == "kn")


@pytest.mark.real
def test_ones_own_questions_are_asked_and_their_answers_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    table = re.search(r"(    question,answer\n(?:    .+\n)+)", tutorial)
    assert table is not None
    rows = [line.strip() for line in table[1].splitlines()]
    (tmp_path / "my-questions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["probe", SMOLLM, "--suite", "my-questions.csv", "--max-new-tokens", "4", "--out", "p"]
    assert run(words) == 0
    said = capsys.readouterr().out
    asked = read_records(tmp_path / "p" / "transcripts.jsonl", Transcript)
    assert [each.question for each in asked] == [row.partition(",")[0] for row in rows[1:]]
    assert re.search(r"Hindi: \d of 2 answers right", said)
    for each in asked:
        assert f"{each.question}  ->" in said


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("lang", ["hi", "kn"])
def test_a_study_of_one_language_runs_to_its_report(
    lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "my.txt", lang)
    sizes = ["paragraphs=12", "steps=2", "families=8", "tokens=60", "repeats=1", "new_tokens=8"]
    sets = ["corpus=my.txt", f"languages={lang}", *sizes]
    flags = [word for each in sets for word in ("--set", each)]
    assert run(["study", "run", "quick", *flags]) == 0, capsys.readouterr().err
    assert (tmp_path / "runs" / "quick" / "report.html").is_file()
    assert (tmp_path / "runs" / "quick" / "nodes" / "bundle" / "model.gguf").exists()
    assert run(["recommend", "runs/quick", "--lang", lang]) == 0
