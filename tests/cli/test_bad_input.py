"""Bad input on the command line: a clear error with what, where and what to do; exit 2 or 1."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seemant.models.backends.tiny import write_tiny

COMMAND = [sys.executable, "-m", "seemant"]
PARAGRAPHS = [
    {"id": f"hi-{n}", "lang": "hi", "text": f"यह वाक्य संख्या {n} है और इसमें {n} फल हैं।"}
    for n in range(8)
]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    said = done.stderr
    assert done.returncode == code, said + done.stdout
    assert "Traceback" not in said
    assert said.startswith("error: ") or "error: " in said
    for word in words:
        assert word in said, said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with good and bad files."""
    good = "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in PARAGRAPHS)
    (tmp_path / "good.jsonl").write_text(good)
    (tmp_path / "mixed.jsonl").write_bytes(
        good.encode() + b"{broken\n\xff\xfe\n" + good[:0].encode()
    )
    (tmp_path / "rubbish.jsonl").write_text("{broken\nnot json\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\0\1\2" * 2000)
    write_tiny(tmp_path / "tiny.gguf")
    whole = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.gguf").write_text("this is no model")
    return tmp_path


@pytest.mark.parametrize("file", ["missing.txt", "binary.txt", "empty.txt"])
def test_a_corpus_that_is_none(folder: Path, file: str) -> None:
    refused(run(folder, "corpus", "sample", file), 2, file)
    assert not list((folder / "runs").glob("*/*/manifest.json"))


@pytest.mark.parametrize("file", ["cut.gguf", "text.gguf", "missing.gguf"])
def test_a_damaged_model_file(folder: Path, file: str) -> None:
    for command in ("compress", "probe", "bench"):
        refused(run(folder, command, f"path:{file}"), 2, file)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("embedded:gemma-3-27m", "gemma-3-270m"), ("emboded:x", "embedded"), ("nothing", "forms")],
)
def test_an_unknown_model_names_the_nearest(folder: Path, name: str, hint: str) -> None:
    refused(run(folder, "probe", name), 2, name.partition(":")[2] or name, hint)


def test_a_group_that_does_not_divide_a_row(folder: Path) -> None:
    done = run(folder, "compress", "path:tiny.gguf", "--group", "416")
    refused(done, 2, "416")
    assert not list(folder.rglob("model.gguf"))


def test_a_yaml_with_an_unknown_key(folder: Path) -> None:
    (folder / "s.yaml").write_text("study: s\ntitle: t\nnodez: {}\n")
    refused(run(folder, "study", "run", "s.yaml"), 2, "nodez", "s.yaml:3", "nodes")


def test_pairs_without_a_valid_line(folder: Path) -> None:
    refused(run(folder, "train", "path:tiny.gguf", "rubbish.jsonl"), 2, "rubbish.jsonl:1")


def test_bad_lines_are_set_aside_and_counted_and_the_run_goes_on(folder: Path) -> None:
    done = run(folder, "corpus", "sample", "mixed.jsonl", "--out", "sample", "--json")
    assert done.returncode == 0, done.stderr
    found = {m["metric"]: m["value"] for m in json.loads(done.stdout)["measurements"]}
    assert found["set_aside"] == 2
    aside = (folder / "sample" / "rejected.jsonl").read_bytes().splitlines()
    assert len(aside) == 2
    assert all(json.loads(line)["reason"] for line in aside)


def test_nothing_answers_at_the_teacher_s_address(folder: Path) -> None:
    done = run(
        folder,
        "distill",
        "good.jsonl",
        "--teacher",
        "openai:http://127.0.0.1:9/v1#m",
        "--retries",
        "0",
        "--languages",
        "hi",
    )
    refused(done, 1, "127.0.0.1:9", "fix:")


def test_a_model_for_memory_only_is_refused_where_quality_is_measured(folder: Path) -> None:
    refused(run(folder, "probe", "config:google/gemma-3-1b-it"), 2, "gemma-3-1b-it")


# A run as root first imports everything; then the same process becomes an ordinary user.
DROP_ROOT = """
import os, sys
from seemant.cli.main import run
assert run([*sys.argv[1:], "--out", "open/here"]) == 0
os.setuid(65534)
sys.exit(run([*sys.argv[1:], "--out", "closed/here"]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root to lose the permission")
def test_no_permission_to_write_is_the_world_s_failure(folder: Path) -> None:
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    (folder / "closed").mkdir(mode=0o755)
    done = subprocess.run(
        [sys.executable, "-c", DROP_ROOT, "corpus", "sample", "good.jsonl"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    refused(done, 1, "permission", "closed/here", "fix:")
    assert list((folder / "closed").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_keeps_what_was_there_and_the_same_command_goes_on(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(small, capture_output=True).returncode != 0:
        pytest.skip("no permission to mount a tmpfs here")
    try:
        command = ("compress", "path:tiny.gguf", "--out", "disk/out")
        refused(run(folder, *command), 1, "no space", "fix:")
        assert not (disk / "out" / "manifest.json").exists()
        assert not (disk / "out" / "model.gguf").exists(), "nothing half-written"
        room = ["mount", "-o", "remount,size=20m", str(disk)]
        subprocess.run(room, check=True)
        done = run(folder, *command)
        assert done.returncode == 0, done.stderr
        assert (disk / "out" / "model.gguf").is_file()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
