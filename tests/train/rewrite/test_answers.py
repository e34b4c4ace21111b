"""A rewording replaces an answer only where its facts survive; a killed run goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from seemant.core.jsonl import read_records, write_records
from seemant.core.records import Pair
from seemant.core.stage import execute, file_input
from seemant.models.backends.tiny import write_tiny
from seemant.train.rewrite import run as rewrite_run
from seemant.train.rewrite.answers import asked, failures, names
from seemant.train.rewrite.run import STAGE, Kept
from tests.train.tiny import pair

EN = pair(
    "Who built the bridge?", "The bridge was built by Meera Rao in 1962 for the valley.", id="en"
)
HI = pair("पुल कब बना?", "पुल सन् 1962 में गाँव के लोगों ने मिलकर बनाया।", lang="hi", id="hi")


def wrong(given: Pair, text: str, *, whole: bool = True) -> list[str]:
    return [each.partition(":")[0] for each in failures(given, text, whole=whole)]


def test_a_rewording_with_all_facts_is_kept() -> None:
    assert wrong(EN, "In 1962 Meera Rao built the bridge for the valley.") == []
    assert wrong(HI, "गाँव के लोगों ने सन् 1962 में मिलकर पुल बनाया।") == []
    assert wrong(EN, EN.output) == [] and wrong(HI, HI.output) == []


@pytest.mark.parametrize(
    ("given", "text", "reason"),
    [
        (EN, "Meera Rao built the bridge for the valley.", "numbers"),
        (EN, "In 1962 Meera Rao built the bridge for the valley of 30 people.", "numbers"),
        (EN, "In 1962 somebody built the bridge for the valley.", "names"),
        (EN, "It was Meera Rao, 1962.", "content"),
        (EN, "", "empty"),
        (EN, "1962 Meera Rao bridge built valley " * 8, "loop_free"),
        (HI, "The bridge was built in 1962 by people.", "script"),
        (HI, "पुल सन् 1962 में गाँव के लोगों ने मिलकर बनाया। " + "और यह बहुत सुंदर था " * 9, "length"),
    ],
)
def test_a_rewording_that_loses_something_is_not(given: Pair, text: str, reason: str) -> None:
    assert reason in wrong(given, text)


def test_a_cut_rewording_is_not_kept() -> None:
    assert "complete" in wrong(EN, EN.output, whole=False)


def test_names_are_capitals_inside_a_sentence() -> None:
    assert names("The bridge was built by Meera Rao. She lived in Hampi, near Goa.") == [
        "meera", "rao", "hampi", "goa",
    ]  # fmt: skip
    assert names("पुल बना।") == []


def test_the_student_sees_question_input_and_reference_in_its_language() -> None:
    question, text = asked(pair("Who?", "Me", given="A text"))
    assert "in your own words" in question and text == "Who?\n\nA text\n\nMe"
    assert "अपने शब्दों" in asked(HI)[0]


def test_the_stage_keeps_what_holds_and_goes_on_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny(tmp_path / "tiny.gguf")
    pairs = [EN, HI, pair("ಯಾರು?", "ನಾನು", lang="kn", id="kn"), pair("No id?", "None at all here")]
    write_records(tmp_path / "pairs.jsonl", pairs)
    asked_for: list[str] = []

    def fake(given: Pair, write: Any) -> Kept:
        asked_for.append(given.key)
        if len(asked_for) == 2:
            raise KeyboardInterrupt
        text = given.output.replace("built by", "made by")
        found = failures(given, text, whole=given.key != "hi")
        return Kept(
            key=given.key, lang=given.lang, reference=given.output, written=text, wrong=found
        )

    monkeypatch.setattr(rewrite_run, "_asked", fake)
    inputs = {
        "model": file_input(tmp_path / "tiny.gguf", "path:tiny.gguf"),
        "pairs": file_input(tmp_path / "pairs.jsonl"),
    }
    config = STAGE.config(languages=("en", "hi"))
    with pytest.raises(KeyboardInterrupt):
        execute(STAGE, config, inputs, store=tmp_path, out=tmp_path / "run")
    done = execute(STAGE, config, inputs, store=tmp_path, out=tmp_path / "run")
    assert asked_for == ["en", "hi", "hi", pairs[3].key]  # the first was not asked again
    result = read_records(done.path / "pairs.jsonl", Pair)
    assert [each.key for each in result] == [each.key for each in pairs]
    assert result[0].output.startswith("The bridge was made by Meera Rao")
    assert result[1:3] == pairs[1:3]  # cut, and of another language
    lines = [json.loads(x) for x in (done.path / "rewritten.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["en", "hi", pairs[3].key]
    found = {(m.metric, m.lang): m.value for m in done.manifest.measurements}
    assert found["answers_reworded", "en"] == 2 and found["answers_reworded", "hi"] == 0
    assert found["answers_kept_complete", "hi"] == 1


def test_a_real_engine_writes_and_nothing_of_nonsense_is_kept(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.gguf")
    write_records(tmp_path / "pairs.jsonl", [EN])
    inputs = {
        "model": file_input(tmp_path / "tiny.gguf", "path:tiny.gguf"),
        "pairs": file_input(tmp_path / "pairs.jsonl"),
    }
    done = execute(
        STAGE, STAGE.config(max_new_tokens=8), inputs, store=tmp_path, out=tmp_path / "run"
    )
    assert read_records(done.path / "pairs.jsonl", Pair) == [EN]
    (line,) = map(json.loads, (done.path / "rewritten.jsonl").read_text().splitlines())
    assert line["wrong"] and line["reference"] == EN.output
