"""A command works, or says one sentence, whatever stands around it: locale, streams, user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEEMANT = [sys.executable, "-m", "seemant"]
TEXT = "बुवाई का समय जून है, और कटाई का समय अक्टूबर।\n"


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    return {**kept, **more}


def sample(folder: Path, name: str = "in.txt") -> list[str]:
    """Write a text and return the command that samples it."""
    (folder / name).write_text(TEXT * 3, encoding="utf-8")
    return [*SEEMANT, "corpus", "sample", name, "--n", "2", "--out", "out", "--json"]


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"LC_ALL": "no_SUCH.locale", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["C", "C held", "ascii streams", "unknown"],
)
def test_the_locale_decides_nothing(locale: dict[str, str], tmp_path: Path) -> None:
    command = sample(tmp_path, "पाठ.txt")
    done = subprocess.run(command, cwd=tmp_path, env=environment(**locale), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stage"] == "corpus"
    lines = (tmp_path / "out/paragraphs.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["text"] for line in lines} == {TEXT.strip()}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stop_no_command(closed: str, tmp_path: Path) -> None:
    command = " ".join([*sample(tmp_path), closed])
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), timeout=120)
    assert done.returncode == 0 and (tmp_path / "out/manifest.json").is_file()


@pytest.mark.parametrize("command", ["doctor", "models list", "--help"])
def test_a_reader_that_leaves_early_is_no_error(command: str, tmp_path: Path) -> None:
    line = f"set -o pipefail; {' '.join(SEEMANT)} {command} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == ["0"] and done.stderr == ""


@pytest.mark.parametrize("columns", ["0", "1", "5", "many", "-3", "40"])
def test_a_terminal_of_few_columns_gets_the_help(columns: str) -> None:
    done = subprocess.run(
        [*SEEMANT, "doctor", "--help"],
        env=environment(COLUMNS=columns, TERM="dumb"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "--again" in done.stdout, done.stderr


@pytest.mark.parametrize("target", ["nowhere", "out"], ids=["leads nowhere", "leads to itself"])
def test_a_link_that_leads_to_no_folder_is_refused_in_a_sentence(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "out").symlink_to(target)
    done = subprocess.run(sample(tmp_path), cwd=tmp_path, env=environment(), capture_output=True)
    assert done.returncode == 2 and b"a link that leads" in done.stderr


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "real place").mkdir()
    (tmp_path / "out").symlink_to("real place")
    done = subprocess.run(sample(tmp_path), cwd=tmp_path, env=environment(), capture_output=True)
    assert done.returncode == 0 and (tmp_path / "real place" / "manifest.json").is_file()


def test_output_that_has_no_room_is_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*SEEMANT, "models", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error:") and "no space left" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_a_name_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    name = b"caf\xe9.txt"
    (Path(os.fsdecode(tmp_path)) / os.fsdecode(name)).write_text(TEXT, encoding="utf-8")
    command = [os.fsencode(word) for word in SEEMANT] + [b"corpus", b"sample", name]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert b"not UTF-8" in done.stderr and b"caf\\xe9.txt" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_home_or_name_works_and_is_told_where_a_cache_is_needed(
    tmp_path: Path,
) -> None:
    command = sample(tmp_path)
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:  # pytest's own folders are closed to others
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    nobody = ["setpriv", "--reuid", "54321", "--clear-groups"]
    bare = environment()
    for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "SEEMANT_CACHE"):
        bare.pop(name, None)
    able = subprocess.run([*nobody, "true"], capture_output=True).returncode == 0
    readable = subprocess.run([*nobody, *SEEMANT, "--version"], env=bare, capture_output=True)
    if not able or readable.returncode:
        pytest.skip("another user cannot run this checkout")
    done = subprocess.run([*nobody, *command], cwd=tmp_path, env=bare, capture_output=True)
    assert done.returncode == 0, done.stderr
    doctor = subprocess.run([*nobody, *SEEMANT, "doctor"], env=bare, capture_output=True, text=True)
    assert doctor.returncode == 0 and "SEEMANT_CACHE" in doctor.stdout, doctor.stderr
    fetch = [*nobody, *SEEMANT, "chat", "embedded:gemma-3-270m", "--message", "a"]
    refused = subprocess.run(fetch, cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert refused.returncode in (1, 2) and "Traceback" not in refused.stderr
    assert "SEEMANT_CACHE" in refused.stderr
