"""The study file: typed, with parameters; a wrong one is answered with key, line and hint."""

from pathlib import Path

import pytest

from seemant.core.errors import BadConfig, BadFile
from seemant.study.graph import dependents, needs, order, urgency
from seemant.study.spec import Study, load_study

GOOD = """\
study: toy
title: A toy
seed: 5
params:
  corpus: null
  n: 4
nodes:
  pairs:
    stage: distill
    inputs: {paragraphs: paragraphs}
    config: {teacher: "openai:http://127.0.0.1:9/v1#m", limit: "${n}"}
  paragraphs:
    stage: corpus
    inputs: {files/a: "${corpus}"}
    config:
      languages: [hi]
"""


def load(tmp_path: Path, text: str, *sets: str) -> Study:
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    return load_study(str(path), sets)


def test_parameters_are_laid_in_with_their_type(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD)
    assert study.nodes["pairs"].config.model_dump()["limit"] == 4
    assert study.nodes["paragraphs"].inputs == {}, "a parameter of null leaves an input away"


def test_the_study_s_seed_reaches_every_node(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD)
    assert {n.config.model_dump()["seed"] for n in study.nodes.values()} == {5}


def test_set_changes_parameters_and_single_settings(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD, "n=2", "corpus=a.txt", "paragraphs.per_language=9")
    assert study.nodes["pairs"].config.model_dump()["limit"] == 2
    assert study.nodes["paragraphs"].inputs == {"files/a": "a.txt"}
    assert study.nodes["paragraphs"].config.model_dump()["per_language"] == 9


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("seed: 5", "sed: 5", 3, ["sed", "seed"]),
        ("seed: 5", "seed: five", 3, ["seed", "five"]),
        ("stage: distill", "stage: distil", 9, ["distil", "distill"]),
        ("languages: [hi]", "language: [hi]", 16, ["language", "languages"]),
        ("languages: [hi]", "languages: [fr]", 16, ["languages", "fr"]),
        ('limit: "${n}"', 'limit: "${m}"', None, ["${m}"]),
        ("paragraphs: paragraphs", "paragraph: paragraphs", 10, ["paragraph"]),
        ("inputs: {paragraphs: paragraphs}", "inputs: {}", 10, ["paragraphs"]),
    ],
)
def test_a_wrong_file_names_the_key_and_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, words: list[str]
) -> None:
    assert old in GOOD
    with pytest.raises(BadConfig) as caught:
        load(tmp_path, GOOD.replace(old, new))
    text = str(caught.value)
    for word in words:
        assert word in text
    if line is not None:
        assert caught.value.where == f"{tmp_path / 'toy.yaml'}:{line}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["m=1", "pairs.limitt=1", "novalue", "other.key=1"])
def test_a_wrong_set_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadConfig):
        load(tmp_path, GOOD, text)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(BadFile, match="quik") as caught:
        load_study("quik")
    assert caught.value.fix and "quick" in caught.value.fix


def test_nodes_are_ordered_by_need_and_changes_reach_dependents(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD)
    assert order(study) == ["paragraphs", "pairs"]
    assert needs(study, "pairs") == ["paragraphs"]
    assert dependents(study, ["paragraphs"]) == {"pairs"}
    assert dependents(study, ["pairs"]) == set()


def test_a_circle_is_refused(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD.replace('files/a: "${corpus}"', "files/a: pairs"))
    with pytest.raises(BadConfig, match="need each other"):
        order(study)


def test_the_quick_preset_is_a_whole_graph() -> None:
    study = load_study("quick")
    names = order(study)
    assert len(names) == len(study.nodes) > 20
    assert names[-1] == "report"
    reached = dependents(study, ["paragraphs"])
    assert {"pairs", "gemma", "gemma-after", "q4", "frontier", "report"} <= reached
    assert "gemma-before" not in reached


def test_the_longest_chain_is_the_most_urgent() -> None:
    study = load_study("quick")
    urgent = urgency(study)
    for name in study.nodes:
        for need in needs(study, name):
            assert urgent[need] >= urgent[name] + study.nodes[need].expect.seconds
    assert urgent["pairs"] > urgent["smollm-before"]


def test_a_server_may_be_given_where_a_preset_takes_a_model() -> None:
    teacher = "openai:http://127.0.0.1:9/v1#m"
    pairs = load_study("quick", [f"teacher={teacher}"]).nodes["pairs"]
    assert "teacher" not in pairs.inputs
    assert pairs.config.model_dump()["teacher"] == teacher


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a b", "-x", "a.b"])
def test_a_node_s_name_is_a_plain_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadConfig, match="nodes"):
        load(tmp_path, GOOD.replace("  pairs:", f'  "{name}":'))


@pytest.mark.parametrize("slots", ["0", "-1"])
def test_slots_are_positive(tmp_path: Path, slots: str) -> None:
    with pytest.raises(BadConfig, match="slots"):
        load(tmp_path, GOOD.replace("stage: distill", f"stage: distill\n    slots: {slots}"))
