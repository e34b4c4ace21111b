"""The whole stage against real servers on loopback: good, failing, hanging, killed, resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fake_server import good_answer, paragraph, serving

from seemant.core.errors import BadConfig, BadFile, BadRecord, DiskFull, InputError, ServerDown
from seemant.core.hashing import text_sha256
from seemant.core.jsonl import read_json, read_records
from seemant.core.measurement import TOO_FEW
from seemant.core.records import Pair
from seemant.core.stage import Done, Input, execute, file_input
from seemant.distill.config import DistillConfig
from seemant.distill.run import STAGE
from seemant.distill.yields import speed


def distil(
    paragraphs: Path, teacher: str, store: Path, *, out: Path | None = None, **settings: Any
) -> Done:
    settings = {"retries": 0, "timeout_s": 20.0, "workers": 2} | settings
    config = DistillConfig(teacher=teacher, **settings)
    # The address of a test's server changes from run to run and is no part of what is compared.
    return execute(STAGE, config, {"paragraphs": file_input(paragraphs)}, store=store, out=out)


def contents(folder: Path) -> dict[str, str]:
    names = ["pairs.jsonl", "dropped.jsonl", "journal.jsonl", "samples.json"]
    return {name: text_sha256((folder / name).read_text()) for name in names}


def test_a_good_server_gives_a_pair_a_paragraph(paragraphs_file: Path, tmp_path: Path) -> None:
    with serving(lambda text, n: good_answer(text)) as server:
        done = distil(paragraphs_file, server.teacher, tmp_path)
    assert len(server.asked) == 12
    pairs = read_records(done.path / "pairs.jsonl", Pair)
    assert [pair.paragraph_id for pair in pairs] == [f"en-{at:04}" for at in range(12)]
    assert pairs[3].output == "103 km" and pairs[3].teacher == "m"
    assert pairs[3].input == paragraph(3).text
    assert all(all(pair.checks.values()) for pair in pairs)
    values = {(m.metric, m.lang): m for m in done.manifest.measurements}
    assert values["yield", None].value == values["yield", "en"].value == 1.0
    assert 0.6 < values["yield", "en"].ci_low < 1.0  # type: ignore[operator]
    assert values["yield", "en"].n_clusters == 12 and "Wilson" in values["yield", "en"].ci_method
    seconds = values["generation", None].value
    replies, kept = values["reply_rate", None], values["pair_rate", None]
    assert values["generation", None].timed and replies.timed and kept.timed
    assert (replies.unit, kept.unit) == ("samples/s", "pairs/s")
    assert replies.value * seconds == pytest.approx(12)
    assert kept.value * seconds == pytest.approx(len(pairs))


def test_replies_that_gave_no_pair_are_no_pairs_a_second(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    def half(text: str, n: int) -> str:
        return good_answer(text) if n % 2 else "no pair at all"

    with serving(half) as server:
        done = distil(paragraphs_file, server.teacher, tmp_path, attempts=1, workers=1)
    values = {m.metric: m.value for m in done.manifest.measurements if m.lang is None}
    assert values["pair_rate"] == pytest.approx(values["reply_rate"] / 2)


def test_pairs_of_an_earlier_run_are_not_in_this_ones_speed() -> None:
    names = [m.metric for m in speed("t", 2.0, 10, 1, None)]
    assert names == ["generation", "reply_rate"]


def test_a_server_that_fails_once_is_asked_again(paragraphs_file: Path, tmp_path: Path) -> None:
    with serving(lambda text, n: (500, "oops") if n == 0 else good_answer(text)) as server:
        done = distil(paragraphs_file, server.teacher, tmp_path, limit=2, retries=1)
    assert len(server.asked) == 3
    assert len(read_records(done.path / "pairs.jsonl", Pair)) == 2


def test_dropped_pairs_carry_their_reasons_and_are_counted(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    def behaviour(text: str, n: int) -> str:
        if "Tavi" in text:
            return "I would rather talk about something else."
        if "Sarla" in text:
            return json.dumps({"instruction": "How long is the river Sarla?", "output": "999 km"})
        return good_answer(text)

    with serving(behaviour) as server:
        done = distil(paragraphs_file, server.teacher, tmp_path, limit=4, attempts=2, workers=1)
    assert len(server.asked) == 6
    lines = (done.path / "dropped.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["reasons"] == ["garbage"] and first["reply"].startswith("I would rather")
    assert second["reasons"][0] == "supported: the number 999 is not in the paragraph"
    assert second["output"] == "999 km" and second["checks"]["supported"] is False
    drops = {m.conditions["reason"]: m for m in done.manifest.measurements if m.metric == "dropped"}
    assert {reason: m.value for reason, m in drops.items()} == {"garbage": 1, "supported": 1}
    assert all(m.ci_method == "exact" and m.lang == "en" for m in drops.values())
    share = next(m for m in done.manifest.measurements if m.metric == "yield")
    assert (share.value, share.ci_method) == (0.5, TOO_FEW)
    shown = read_json(done.path / "samples.json")
    assert [each["id"] for each in shown["dropped"]] == ["en-0000.0", "en-0001.0"]


def test_a_question_asked_twice_is_kept_once_whatever_the_timing(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    same = json.dumps({"instruction": "Where does the river rise?", "output": "near the village"})
    folders = []
    for workers, slow in ((1, ""), (4, "Tavi"), (4, "Gomi")):

        def behaviour(text: str, n: int, slow: str = slow) -> str:
            if slow and slow in text:
                time.sleep(0.2)
            return same

        with serving(behaviour) as server:
            out = tmp_path / f"{workers}{slow}"
            distil(paragraphs_file, server.teacher, tmp_path, out=out, workers=workers)
        folders.append(out)
    (pair,) = read_records(folders[0] / "pairs.jsonl", Pair)
    assert pair.paragraph_id == "en-0000"
    assert contents(folders[0]) == contents(folders[1]) == contents(folders[2])


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (lambda text, n: (500, "the GPU is on fire"), "the GPU is on fire"),
        (lambda text, n: (200, "<html>not JSON</html>"), "not JSON"),
        (lambda text, n: (200, "{}"), "without text"),
        (lambda text, n: "lorem ipsum dolor", "answers nonsense"),
    ],
    ids=["always 500", "garbage", "no choices", "words without a pair"],
)
def test_a_broken_server_ends_the_run_with_its_work_kept_and_the_same_command_goes_on(
    behaviour: Any, says: str, paragraphs_file: Path, tmp_path: Path
) -> None:
    broken = True

    def changing(text: str, n: int) -> tuple[int, str] | str:
        return behaviour(text, n) if broken and n >= 3 else good_answer(text)

    with serving(changing) as server:
        with pytest.raises(ServerDown, match=says) as caught:
            # One request at a time: which replies come in a row must not hang on the threads.
            distil(paragraphs_file, server.teacher, tmp_path, workers=1)
        assert caught.value.exit_code == 1 and "same command" in str(caught.value)
        before = set(server.asked[:3])
        n_before = len(server.asked)
        broken = False
        done = distil(paragraphs_file, server.teacher, tmp_path, workers=1)
    assert not done.reused
    assert before.isdisjoint(server.asked[n_before:])
    assert len(server.asked) - n_before == 9
    assert len(read_records(done.path / "pairs.jsonl", Pair)) == 12


FILTERED = (400, json.dumps({"error": {"code": "content_filter", "message": "filtered"}}))
EMPTY = (200, json.dumps({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}))


@pytest.mark.parametrize(
    ("answer", "says", "n_asked"), [(FILTERED, "content_filter", 1), (EMPTY, "empty answer", 3)]
)
def test_one_request_without_an_answer_is_a_dropped_pair(
    answer: tuple[int, str], says: str, n_asked: int, paragraphs_file: Path, tmp_path: Path
) -> None:
    def behaviour(text: str, n: int) -> tuple[int, str] | str:
        return answer if "Korin" in text else good_answer(text)

    with serving(behaviour) as server:
        done = distil(paragraphs_file, server.teacher, tmp_path)
    assert len(read_records(done.path / "pairs.jsonl", Pair)) == 11
    assert len([text for text in server.asked if "Korin" in text]) == n_asked
    dropped = json.loads((done.path / "dropped.jsonl").read_text())
    assert dropped["reasons"][0].startswith("no_answer: ") and says in dropped["reasons"][0]
    reasons = [m.conditions for m in done.manifest.measurements if m.metric == "dropped"]
    assert reasons == [{"reason": "no_answer"}]


def test_a_server_that_refuses_everything_is_the_user_s_to_mend(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    with (
        serving(lambda text, n: (422, "seed: not permitted")) as server,
        pytest.raises(InputError, match=r"every request.*\n.*seed: not permitted"),
    ):
        distil(paragraphs_file, server.teacher, tmp_path)


def test_a_hanging_server_is_given_up_after_the_timeout(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    with serving(lambda text, n: good_answer(text), delay_s=3.0) as server:
        began = time.monotonic()
        with pytest.raises(ServerDown, match=r"no answer within 0\.2 s"):
            distil(paragraphs_file, server.teacher, tmp_path, timeout_s=0.2)
        assert time.monotonic() - began < 2.5


def test_a_server_that_is_not_there_is_down(paragraphs_file: Path, tmp_path: Path) -> None:
    with serving(lambda text, n: good_answer(text)) as server:
        pass
    with pytest.raises(ServerDown, match="refused"):
        distil(paragraphs_file, server.teacher, tmp_path)


def test_a_wrong_key_or_name_is_the_user_s_to_fix(paragraphs_file: Path, tmp_path: Path) -> None:
    with (
        serving(lambda text, n: (404, "no such model")) as server,
        pytest.raises(InputError, match="no such model"),
    ):
        distil(paragraphs_file, server.teacher, tmp_path)


RUN = """
import sys
from pathlib import Path
from seemant.core.stage import execute, file_input
from seemant.distill.config import DistillConfig
from seemant.distill.run import STAGE
from seemant.distill.yields import speed
how = {"workers": int(sys.argv[4]), "timeout_s": float(sys.argv[5]), "retries": 0}
config = DistillConfig(teacher=sys.argv[2], **how)
inputs = {"paragraphs": file_input(Path(sys.argv[1]))}
execute(STAGE, config, inputs, store=Path("."), out=Path(sys.argv[3]))
"""


def test_a_run_killed_again_and_again_asks_nothing_twice_and_loses_nothing(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    """Each time it goes on with more workers and more patience: the question is the same."""
    out, journal = tmp_path / "killed", tmp_path / "killed" / "journal.jsonl"

    def lines() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    with serving(lambda text, n: good_answer(text), delay_s=0.15) as server:
        command = [sys.executable, "-c", RUN, str(paragraphs_file), server.teacher, str(out)]
        journalled: list[str] = []
        for more in range(3):
            process = subprocess.Popen([*command, str(2 + more), str(60 * (1 + more))])
            target, end = lines() + 2, time.monotonic() + 30
            while lines() < target and time.monotonic() < end:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            entries = [json.loads(line) for line in journal.read_bytes().splitlines()]
            journalled = [entry["paragraph_id"] for entry in entries]
            already = len(server.asked)
        assert 6 <= len(journalled) < 12
        time.sleep(0.2)  # requests that were under way have been heard by now
        already = len(server.asked)
        subprocess.run([*command, "5", "600"], check=True)
        again = Counter(server.asked[already:])
    texts = {paragraph(at).id: paragraph(at).text for at in range(12)}
    assert set(again) == {text for name, text in texts.items() if name not in journalled}
    assert max(again.values()) == 1
    with serving(lambda text, n: good_answer(text)) as server:
        calm = distil(paragraphs_file, server.teacher, tmp_path / "store")
    assert contents(out) == contents(calm.path)


def test_a_disk_that_fills_up_keeps_the_work(paragraphs_file: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here; the loop's own test fakes a full one")
    try:
        ballast = disk / "ballast"
        with serving(lambda text, n: good_answer(text)) as server:
            ballast.write_bytes(b"x" * 24_576)
            with pytest.raises(DiskFull):
                distil(paragraphs_file, server.teacher, tmp_path, out=disk / "run")
            kept = (disk / "run" / "journal.jsonl").read_bytes().count(b"\n")
            ballast.unlink()
            subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
            n_before = len(server.asked)
            done = distil(paragraphs_file, server.teacher, tmp_path, out=disk / "run")
        assert 0 < kept < 12 and len(server.asked) - n_before == 12 - kept
        assert len(read_records(done.path / "pairs.jsonl", Pair)) == 12
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_corpus_artefact_gives_its_part_for_distillation(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "distil.jsonl").write_text(paragraph(0).model_dump_json() + "\n{broken\n")
    (corpus / "heldout.jsonl").write_text(paragraph(1).model_dump_json() + "\n")
    with serving(lambda text, n: good_answer(text)) as server:
        done = distil(corpus, server.teacher, tmp_path)
    assert server.asked == [paragraph(0).text]
    assert len((done.path / "rejected.jsonl").read_text().splitlines()) == 1


def test_a_folder_that_is_no_corpus_and_a_corpus_without_the_language_are_refused(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadFile, match="no such file"):
        distil(tmp_path / "empty", "openai:http://127.0.0.1:1/v1#m", tmp_path)
    with pytest.raises(BadRecord, match="no paragraph in hi, kn"):
        distil(paragraphs_file, "openai:http://127.0.0.1:1/v1#m", tmp_path, languages=("hi", "kn"))


def test_a_model_file_must_be_given_and_a_server_takes_none(
    paragraphs_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig, match="none was given"):
        distil(paragraphs_file, "embedded:gemma-3-270m", tmp_path)
    inputs = {
        "paragraphs": file_input(paragraphs_file),
        "teacher": Input(paragraphs_file, "embedded:gemma-3-270m", "0"),
    }
    config = DistillConfig(teacher="openai:http://127.0.0.1:1/v1#m")
    with pytest.raises(BadConfig, match="two teachers"):
        execute(STAGE, config, inputs, store=tmp_path)
