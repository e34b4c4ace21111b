"""An artefact's folder: a refused run leaves it free, an unfinished one is no input."""

from pathlib import Path

import pytest

from seemant.core.config import Config
from seemant.core.errors import BadConfig, BadFile, DiskFull, ServerDown
from seemant.core.folder import refuse_unfinished
from seemant.core.jsonl import write_json
from seemant.core.manifest import is_whole
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage, execute, file_input


class Toy(Config):
    """Settings of a toy stage: what it fails with after its products are half-written."""

    word: str = ""


FAILURES: dict[str, BaseException] = {
    "input": BadConfig("a group that does not divide", fix="--group 32"),
    "world": ServerDown("no answer"),
    "killed": KeyboardInterrupt(),
}


def run(config: Toy, inputs: Inputs, out: Path) -> list[Measurement]:
    (out / "model.gguf").write_text("half")
    (out / ".rounded").mkdir(exist_ok=True)
    (out / ".rounded" / "layer").write_text("0")
    if config.word == "journal":
        (out / "journal.jsonl").write_text('{"answer": 1}\n')
    if config.word:
        raise FAILURES.get(config.word, FAILURES["input"])
    return []


STAGE = Stage(name="toy", version=1, config=Toy, run=run, roles={})


def asked(word: str, folder: Path, *, force: bool = False) -> None:
    execute(STAGE, Toy(word=word), {}, store=folder.parent, out=folder, force=force)


def test_a_refused_run_leaves_its_folder_free_for_the_mended_command(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    with pytest.raises(BadConfig, match="does not divide"):
        asked("input", out)
    assert not out.exists()
    asked("", out)
    assert is_whole(out)


def test_an_empty_folder_is_empty_again_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadConfig):
        asked("input", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
    (tmp_path / "mine" / ".git").mkdir()
    with pytest.raises(BadConfig):
        asked("input", tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == [".git"]


def test_a_refusal_after_force_leaves_nothing_half_written(tmp_path: Path) -> None:
    asked("", tmp_path / "mine")
    with pytest.raises(BadConfig):
        asked("input", tmp_path / "mine", force=True)
    asked("", tmp_path / "mine")


@pytest.mark.parametrize("word", ["world", "killed"])
def test_what_can_be_gone_on_with_is_kept(tmp_path: Path, word: str) -> None:
    with pytest.raises(type(FAILURES[word])):
        asked(word, tmp_path / "mine")
    assert (tmp_path / "mine" / ".rounded" / "layer").is_file()


def test_a_refusal_of_a_resumed_run_keeps_the_work_of_the_calls_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServerDown):
        asked("world", tmp_path / "mine")
    monkeypatch.setitem(FAILURES, "world", FAILURES["input"])
    with pytest.raises(BadConfig):
        asked("world", tmp_path / "mine")
    assert (tmp_path / "mine" / ".rounded" / "layer").is_file()


def test_answers_that_were_journaled_outlive_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(BadConfig):
        asked("journal", tmp_path / "mine")
    assert (tmp_path / "mine" / "journal.jsonl").is_file()


def test_a_full_disk_says_the_folder_where_the_write_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAILURES, "world", OSError(28, "No space left on device"))
    with pytest.raises(DiskFull) as caught:
        asked("world", tmp_path / "mine")
    assert caught.value.where == str(tmp_path / "mine")
    assert (tmp_path / "mine" / ".rounded" / "layer").is_file()


def test_an_unfinished_folder_of_ours_is_no_input_and_others_are(tmp_path: Path) -> None:
    with pytest.raises(ServerDown):
        asked("world", tmp_path / "mine")
    with pytest.raises(BadFile, match="this run is not finished") as caught:
        file_input(tmp_path / "mine")
    assert caught.value.fix == "give its command again"
    assert caught.value.where == str(tmp_path / "mine")
    asked("", tmp_path / "done")
    assert file_input(tmp_path / "done").sha256
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    refuse_unfinished(theirs)
    for said in ({"model_type": "llama", "id": "x"}, [1], {}):
        write_json(theirs / "config.json", said)
        assert file_input(theirs).sha256
    (theirs / "config.json").write_text("{ torn")
    refuse_unfinished(theirs)
