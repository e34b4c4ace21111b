"""Stages: same question, same folder; whole or resumable; one process at a time."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from seemant.core.config import Config
from seemant.core.errors import BadFile, NoPermission
from seemant.core.manifest import is_whole, load_manifest
from seemant.core.measurement import Measurement, exact
from seemant.core.runlog import read_events
from seemant.core.stage import Inputs, Stage, execute, file_input, identity


class Toy(Config):
    """Settings of a toy stage."""

    word: str = "a"
    times: int | None = 2


calls: list[str] = []


def run(config: Toy, inputs: Inputs, out: Path) -> list[Measurement]:
    calls.append(config.word)
    text = "".join(given.path.read_text() for given in inputs.values())
    (out / "result.txt").write_text(text + config.word * (config.times or 1))
    return [exact("toy", "length", len(text), "characters")]


STAGE = Stage(name="toy", version=1, config=Toy, run=run, roles={"text": "text?"})


def test_the_same_question_is_answered_once(tmp_path: Path) -> None:
    calls.clear()
    first = execute(STAGE, Toy(word="x"), {}, store=tmp_path)
    second = execute(STAGE, Toy(word="x"), {}, store=tmp_path)
    assert calls == ["x"]
    assert (first.reused, second.reused) == (False, True)
    assert first.path == second.path == tmp_path / "toy" / first.manifest.id


def test_config_version_and_input_content_are_the_identity(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("one")
    base = identity(STAGE, Toy(), {"text": file_input(text)})
    assert identity(STAGE, Toy(word="b"), {"text": file_input(text)}) != base
    newer = Stage(name="toy", version=2, config=Toy, run=run, roles={})
    assert identity(newer, Toy(), {"text": file_input(text)}) != base
    copy = tmp_path / "b.txt"
    copy.write_text("one")
    assert identity(STAGE, Toy(), {"text": file_input(copy)}) == base
    copy.write_text("two")
    assert identity(STAGE, Toy(), {"text": file_input(copy)}) != base


def test_the_manifest_names_every_file_and_is_written_last(tmp_path: Path) -> None:
    done = execute(STAGE, Toy(), {}, store=tmp_path)
    manifest = load_manifest(done.path)
    assert "result.txt" in {f.path for f in manifest.files}
    assert manifest.measurements[0].metric == "length"
    assert [e["kind"] for e in read_events(done.path)] == ["start", "done"]
    newest = max(p.stat().st_mtime_ns for p in done.path.iterdir() if p.name != ".lock")
    assert (done.path / "manifest.json").stat().st_mtime_ns == newest


def test_force_makes_it_anew(tmp_path: Path) -> None:
    first = execute(STAGE, Toy(), {}, store=tmp_path)
    (first.path / "result.txt").write_text("spoilt")
    again = execute(STAGE, Toy(), {}, store=tmp_path, force=True)
    assert not again.reused
    assert (again.path / "result.txt").read_text() == "aa"


def test_a_lost_file_is_noticed_and_mended(tmp_path: Path) -> None:
    first = execute(STAGE, Toy(), {}, store=tmp_path)
    (first.path / "result.txt").unlink()
    assert not is_whole(first.path)
    again = execute(STAGE, Toy(), {}, store=tmp_path)
    assert not again.reused
    assert is_whole(again.path)


def test_a_folder_with_another_answer_is_not_overwritten(tmp_path: Path) -> None:
    execute(STAGE, Toy(word="a"), {}, store=tmp_path, out=tmp_path / "mine")
    with pytest.raises(BadFile, match="another question"):
        execute(STAGE, Toy(word="b"), {}, store=tmp_path, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "result.txt").read_text() == "aa"


def test_content_hash_is_free_of_times(tmp_path: Path) -> None:
    one = execute(STAGE, Toy(), {}, store=tmp_path / "1")
    time.sleep(0.01)
    two = execute(STAGE, Toy(), {}, store=tmp_path / "2")
    assert one.manifest.content_sha256 == two.manifest.content_sha256
    assert one.as_input("x").sha256 == file_input(two.path).sha256


def test_the_word_none_is_no_value() -> None:
    assert Toy.model_validate({"times": "none"}).times is None


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root to lose the permission")
def test_a_folder_that_cannot_be_written_is_a_failure_of_the_world(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    child = os.fork()
    if child == 0:  # an ordinary user, as far as the system is concerned
        code = 9
        try:
            os.setuid(65534)
            execute(STAGE, Toy(), {}, store=closed)
        except NoPermission as error:
            code = error.exit_code
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert list(closed.iterdir()) == []


def test_kill_9_leaves_work_to_resume_and_no_manifest(tmp_path: Path) -> None:
    module = tmp_path / "slow_stage.py"
    module.write_text(
        textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from seemant.core.config import Config
            from seemant.core.journal import Journal
            from seemant.core.stage import Stage, execute

            class C(Config):
                n: int = 40

            def run(config, inputs, out):
                with Journal(out / "journal.jsonl") as journal:
                    print("from", len(journal.entries), flush=True)
                    for i in range(len(journal.entries), config.n):
                        journal.append({"i": i})
                        time.sleep(0.01)
                return []

            STAGE = Stage(name="slow", version=1, config=C, run=run, roles={})
            print(execute(STAGE, C(), {}, store=Path(sys.argv[1])).path, flush=True)
            """
        )
    )
    command = [sys.executable, str(module), str(tmp_path / "store")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "from 0\n"
    time.sleep(0.15)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (folder,) = (tmp_path / "store" / "slow").iterdir()
    assert not is_whole(folder)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    first, last = again.stdout.splitlines()
    assert int(first.split()[1]) > 0, "it began again instead of going on"
    entries = [json.loads(line) for line in (Path(last) / "journal.jsonl").read_text().splitlines()]
    assert [e["i"] for e in entries] == list(range(40))
    assert is_whole(folder)


@pytest.mark.parametrize("force", [False, True])
def test_a_foreign_folder_is_neither_filled_nor_emptied(tmp_path: Path, force: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    (home / "config.json").write_text('{"model_type": "llama"}')  # of another tool
    with pytest.raises(BadFile, match="something else") as caught:
        execute(STAGE, Toy(), {}, store=tmp_path, out=home, force=force)
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in home.iterdir()) == ["config.json", "letter.txt"]


def test_hidden_files_of_others_survive_force(tmp_path: Path) -> None:
    (tmp_path / "out" / ".git").mkdir(parents=True)
    done = execute(STAGE, Toy(), {}, store=tmp_path, out=tmp_path / "out", force=True)
    assert is_whole(done.path)
    assert (tmp_path / "out" / ".git").is_dir()


def broken(config: Toy, inputs: Inputs, out: Path) -> list[Measurement]:
    (out / "half.txt").write_text(config.word)
    (out / f".result.txt.{2**22 + 1}.tmp").write_text("torn")
    raise KeyboardInterrupt


BROKEN = Stage(name="toy", version=1, config=Toy, run=broken, roles={"text": "text?"})


def test_unfinished_work_is_not_gone_on_with_for_another_question(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    with pytest.raises(KeyboardInterrupt):
        execute(BROKEN, Toy(word="a"), {}, store=tmp_path, out=out)
    with pytest.raises(BadFile, match="another question"):
        execute(STAGE, Toy(word="b"), {}, store=tmp_path, out=out)
    assert (out / "half.txt").read_text() == "a"
    assert not execute(STAGE, Toy(word="a"), {}, store=tmp_path, out=out).reused
    forced = execute(STAGE, Toy(word="b"), {}, store=tmp_path, out=out, force=True)
    assert {f.path for f in forced.manifest.files} == {"config.json", "events.jsonl", "result.txt"}


def test_temporaries_of_killed_runs_are_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(BROKEN, Toy(), {}, store=tmp_path)
    done = execute(STAGE, Toy(), {}, store=tmp_path)
    assert not list(done.path.rglob("*.tmp"))


def test_without_files_the_measurements_are_the_content(tmp_path: Path) -> None:
    readings = iter([1.0, 2.0])

    def measure(config: Toy, inputs: Inputs, out: Path) -> list[Measurement]:
        return [exact("toy", "ttft", next(readings), "ms")]

    stage = Stage(name="bench", version=1, config=Toy, run=measure, roles={})
    first = execute(stage, Toy(), {}, store=tmp_path)
    known = first.as_input("x").sha256
    assert known == file_input(first.path).sha256
    again = execute(stage, Toy(), {}, store=tmp_path, force=True)
    assert again.as_input("x").sha256 != known


def test_what_a_model_is_called_is_part_of_the_question_and_no_other_label(tmp_path: Path) -> None:
    roles = {"model": "model", "text": "text?", "variant/*": "model"}
    stage = Stage(name="toy", version=1, config=Toy, run=run, roles=roles)
    file = tmp_path / "m.gguf"
    file.write_text("weights")

    def asked(role: str, label: str) -> str:
        return identity(stage, Toy(), {role: file_input(file, label)})

    assert asked("model", "embedded:gemma-3-270m") != asked("model", "path:m.gguf")
    assert asked("variant/a", "embedded:gemma-3-270m") != asked("variant/a", "path:m.gguf")
    assert asked("text", "one") == asked("text", "two")


def test_shipped_data_is_part_of_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seemant.core.stage.__file__", str(tmp_path / "core" / "stage.py"))
    (tmp_path / "toy").mkdir()
    stage = Stage(name="toy", version=1, config=Toy, run=run, roles={}, data=("toy/*.txt",))
    with pytest.raises(BadFile, match="missing from this installation"):
        identity(stage, Toy(), {})
    (tmp_path / "toy" / "words.txt").write_text("one")
    before = identity(stage, Toy(), {})
    (tmp_path / "toy" / "words.txt").write_text("two!")
    assert identity(stage, Toy(), {}) != before
