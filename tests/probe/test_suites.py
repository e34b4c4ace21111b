"""The shipped families, a user's file, and the study's dozen."""

from pathlib import Path

import pytest

from seemant.core.errors import BadFile, BadRecord
from seemant.core.records import LANGUAGES
from seemant.probe.suites import choose, load_suite, study_queries

LINE = (
    '{"id": "%s", "lang": "hi", "category": "fact", "question": "?", "accepted": ["a"],'
    ' "distractors": ["b"]}'
)


def test_there_are_forty_families_in_three_languages() -> None:
    probes = load_suite()
    families = {probe.family for probe in probes}
    assert len(families) >= 40
    assert len(probes) == 3 * len(families)


def test_a_scored_probe_has_right_and_wrong_answers() -> None:
    for probe in load_suite():
        if probe.category == "unstable":
            assert not probe.accepted
        else:
            assert probe.accepted
            assert len(probe.distractors) >= 2
            assert not set(probe.accepted) & set(probe.distractors)


def test_the_study_asks_a_dozen() -> None:
    asked = study_queries(load_suite(), LANGUAGES)
    assert len(asked) == 12
    assert {"Who are you?", "India Capital?", "Karnataka CM?"} <= {p.question for p in asked}
    assert len(study_queries(load_suite(), ("hi",))) == 4


def test_the_first_families_are_chosen_in_every_language() -> None:
    chosen = choose(load_suite(), ("hi", "kn"), 3)
    assert len(chosen) == 6
    assert {probe.lang for probe in chosen} == {"hi", "kn"}


def test_a_user_brings_a_suite_and_bad_lines_are_set_aside(tmp_path: Path) -> None:
    own, rejected = tmp_path / "own.jsonl", tmp_path / "rejected.jsonl"
    own.write_text(LINE % "one.hi" + "\n{broken\n", encoding="utf-8")
    assert [probe.id for probe in load_suite(own, rejected=rejected)] == ["one.hi"]
    assert rejected.read_text(encoding="utf-8").count("\n") == 1


@pytest.mark.parametrize("ids", [("one.hi", "one.hi"), ("one.kn",), ("one", "one")])
def test_a_bad_id_is_refused(tmp_path: Path, ids: tuple[str, ...]) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text("\n".join(LINE % each for each in ids), encoding="utf-8")
    with pytest.raises(BadRecord, match=ids[0]):
        load_suite(own)


def test_a_missing_suite_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such file"):
        load_suite(tmp_path / "none.jsonl")
