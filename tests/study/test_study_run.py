"""A study runs its nodes in processes of their own, once; killed at any moment, it goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seemant.core.hashing import text_sha256
from seemant.core.manifest import load_manifest
from seemant.corpus.splits import split_of
from tests.distill.fake_server import good_answer, paragraph, serving

STUDY = """\
study: toy
title: A toy
params: {corpus: corpus.jsonl, teacher: "%s"}
nodes:
  paragraphs:
    stage: corpus
    inputs: {files/corpus: "${corpus}"}
    config: {languages: [en]}
  pairs:
    stage: distill
    inputs: {paragraphs: paragraphs}
    config: {languages: [en], teacher: "${teacher}", workers: 1, retries: 0, timeout_s: 5}
  other:
    stage: corpus
    inputs: {files/corpus: "${corpus}"}
    config: {languages: [en], n: 3}
"""

IDS = [f"en-{text_sha256(paragraph(at).text)[:12]}" for at in range(20)]
N_ASKED = sum(split_of(each) == "distil" for each in IDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a corpus of twenty paragraphs."""
    lines = [json.dumps({"text": paragraph(at).text}) for at in range(20)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "seemant", "study", "run", "toy.yaml", "--json", *flags]


def run(folder: Path, teacher: str, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "toy.yaml").write_text(STUDY % teacher)
    return subprocess.run(
        command(*flags), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def answer(text: str, n: int) -> str:
    return good_answer(text)


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def timeless(folder: Path) -> dict[str, list[dict[str, Any]]]:
    state = json.loads((folder / "runs" / "toy" / "study.json").read_text())
    found = {}
    for name, node in state["nodes"].items():
        manifest = load_manifest(folder / "runs" / "toy" / node["artefact"])
        found[name] = [m.model_dump() for m in manifest.measurements if not m.timed]
    return found


def test_a_study_is_run_once_and_a_change_reruns_only_what_depends_on_it(folder: Path) -> None:
    with serving(answer) as server:
        assert result(run(folder, server.teacher))["ran"] == 3
        assert len(server.asked) == N_ASKED
        assert result(run(folder, server.teacher))["ran"] == 0
        links = sorted(path.name for path in (folder / "runs" / "toy" / "nodes").iterdir())
        assert links == ["other", "pairs", "paragraphs"]
        assert (folder / "runs" / "toy" / "nodes" / "pairs" / "pairs.jsonl").is_file()
        assert result(run(folder, server.teacher, "--set", "other.n=4"))["ran"] == 1
        assert result(run(folder, server.teacher, "--set", "paragraphs.n=19"))["ran"] == 2
        assert result(run(folder, server.teacher, "--force", "other"))["ran"] == 1


def test_a_dead_server_is_exit_1_and_the_same_command_goes_on(folder: Path) -> None:
    def half(text: str, n: int) -> str | tuple[int, str]:
        return good_answer(text) if n < 2 else (500, "{}")

    with serving(half) as server:
        done = run(folder, server.teacher)
        assert done.returncode == 1
        assert "pairs" in done.stderr and "fix:" in done.stderr
        assert "Traceback" not in done.stderr
    with serving(answer) as server:
        again = run(folder, server.teacher)  # another port is another teacher: nothing is shared
        assert result(again)["ran"] == 1, "the corpus nodes were kept"


def test_kill_9_leaves_no_process_behind_and_loses_and_repeats_nothing(folder: Path) -> None:
    with serving(answer, delay_s=0.15) as server:
        (folder / "toy.yaml").write_text(STUDY % server.teacher)
        kills = 0
        for wait_for in (1, 4, 7):
            process = subprocess.Popen(
                command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 60
            while len(server.answered) < wait_for and time.monotonic() < deadline:
                time.sleep(0.02)
            nodes = children(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.3)
            assert nodes, "the kill came before any node was at work"
            assert not any(alive(pid) for pid in nodes)
        assert kills == 3
        assert result(run(folder, server.teacher))
        # A kill may cost the one answer that was on its way to the journal, no other.
        assert N_ASKED <= len(server.asked) <= N_ASKED + kills
        disturbed = timeless(folder)
        (journal,) = (folder / "runs" / "distill").glob("*/journal.jsonl")
        entries = [json.loads(line) for line in journal.read_bytes().splitlines()]
        keys = [json.dumps(entry, sort_keys=True) for entry in entries]
        assert len(keys) == len(set(keys)) == N_ASKED
        (folder / "runs").rename(folder / "first")
        assert result(run(folder, server.teacher))["ran"] == 3
        assert timeless(folder) == disturbed


def test_ctrl_c_is_130_and_kept_work_is_gone_on_with(folder: Path) -> None:
    with serving(answer, delay_s=0.2) as server:
        (folder / "toy.yaml").write_text(STUDY % server.teacher)
        process = subprocess.Popen(
            command(),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background jobs, and what they start, ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + 60
        while len(server.answered) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "interrupted" in said and "Traceback" not in said
        result(run(folder, server.teacher))
        assert len(server.asked) <= N_ASKED + 1


def test_a_study_that_runs_already_is_refused(folder: Path) -> None:
    with serving(answer, delay_s=0.6) as server:
        (folder / "toy.yaml").write_text(STUDY % server.teacher)
        with subprocess.Popen(
            command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as first:
            while not server.asked:
                time.sleep(0.02)
            second = run(folder, server.teacher)
            assert second.returncode == 1
            assert str(first.pid) in second.stderr
            first.kill()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("n: 3", "nn: 3", ["other.config.nn", "toy.yaml:16"]),
        ("n: 3", "n: dozen", ["dozen", "toy.yaml:16"]),
        ("corpus: corpus.jsonl", "corpus: nothing.jsonl", ["nothing.jsonl"]),
        ("corpus: corpus.jsonl", "corpus: empty.txt", ["empty.txt"]),
        ("corpus: corpus.jsonl", "corpus: binary.txt", ["binary"]),
    ],
)
def test_wrong_input_is_exit_2_and_says_where(
    folder: Path, old: str, new: str, words: list[str]
) -> None:
    (folder / "empty.txt").write_text("")
    (folder / "binary.txt").write_bytes(b"GGUF\0\1\2\3" * 1000)
    (folder / "toy.yaml").write_text((STUDY % "openai:http://127.0.0.1:9/v1#m").replace(old, new))
    done = subprocess.run(command(), cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_the_plan_runs_nothing(folder: Path) -> None:
    (folder / "toy.yaml").write_text(STUDY % "openai:http://127.0.0.1:9/v1#m")
    flags = [sys.executable, "-m", "seemant", "study", "plan", "toy.yaml", "--json"]
    done = subprocess.run(flags, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = {row["node"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["pairs"]["needs"] == ["paragraphs"]
    assert not rows["pairs"]["done"]
    assert not (folder / "runs").exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and f"PPid:\t{pid}\n" in (path / "status").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_nodes_with_one_question_are_answered_by_one_run(folder: Path) -> None:
    twin = "    slots: 1\n    inputs: {paragraphs: paragraphs}\n    stage: distill\n    config:"
    with serving(answer, delay_s=0.05) as server:
        node = STUDY % server.teacher
        config = node.split("inputs: {paragraphs: paragraphs}\n    config:")[1].splitlines()[0]
        (folder / "toy.yaml").write_text(node + f"  twin:\n{twin}{config}\n")
        done = subprocess.run(
            [sys.executable, "-c", SIDE_BY_SIDE],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(server.asked) == N_ASKED
    started = [line for line in done.stdout.splitlines() if ": started" in line]
    assert sum(line.startswith(("pairs", "twin")) for line in started) == 1
    links = folder / "runs" / "toy" / "nodes"
    assert (links / "twin").resolve() == (links / "pairs").resolve()


SIDE_BY_SIDE = """
from pathlib import Path
from seemant.study.run import run_study
from seemant.study.spec import load_study
run_study(load_study("toy.yaml"), Path("runs"), say=print, slots=4)
"""
