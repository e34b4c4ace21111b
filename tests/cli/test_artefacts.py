"""`frontier` and `recommend` take what users have: any folder of artefacts, or several."""

from pathlib import Path

import pytest

from seemant.cli.artefacts import gather
from seemant.cli.main import run
from seemant.core.errors import BadFile
from seemant.core.jsonl import write_json
from tests.frontier.artefacts import artefact, probe

MARGINS = {"hi": [0.1 * n for n in range(1, 11)]}


@pytest.fixture
def tour(tmp_path: Path) -> Path:
    folder = tmp_path / "tour"
    for name, subject in (("before", "m"), ("after", "m+lora")):
        made = probe(tmp_path / "made", subject, MARGINS).path
        folder.mkdir(exist_ok=True)
        made.rename(folder / name)
    artefact(tmp_path / "made", "export", {"README.md": "# m"}).path.rename(folder / "bundle")
    return folder


def test_a_folder_of_artefacts_is_gathered_and_what_measures_nothing_is_passed_over(
    tour: Path,
) -> None:
    assert sorted(gather([tour])) == ["probe/after", "probe/before"]


def test_artefacts_are_named_one_by_one_and_one_named_twice_counts_once(tour: Path) -> None:
    assert sorted(gather([tour / "before", tour / "after", tour])) == [
        "probe/after",
        "probe/before",
    ]


def test_a_store_is_gathered(tmp_path: Path) -> None:
    made = probe(tmp_path / "runs", "m", MARGINS).path
    assert list(gather([tmp_path / "runs"])) == [f"probe/{made.name}"]
    assert list(gather([tmp_path])) == [f"probe/{made.name}"]


def test_a_study_s_nodes_keep_their_names(tour: Path) -> None:
    nodes = {name: {"stage": "probe", "artefact": f"../tour/{name}"} for name in ("before",)}
    study = tour.parent / "quick"
    study.mkdir()
    write_json(study / "study.json", {"nodes": nodes})
    assert list(gather([study])) == ["probe/before"]


@pytest.mark.parametrize("name", ["nowhere", "empty", "tour/bundle"])
def test_a_folder_without_a_probe_is_refused_with_what_to_name(tour: Path, name: str) -> None:
    (tour.parent / "empty").mkdir()
    with pytest.raises(BadFile) as refused:
        gather([tour.parent / name])
    assert refused.value.fix


def test_the_commands_say_who_is_on_the_frontier_and_recommend(
    tour: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tour.parent)
    assert run(["frontier", str(tour)]) == 0
    said = capsys.readouterr().out
    assert "compared by quality in hi, size of the file" in said
    assert "m+lora (size unknown)" in said
    assert run(["recommend", "tour", "--device", "file-200mb"]) == 0
    assert "(hi)" in capsys.readouterr().out, "asked in the language that was probed"


def test_no_folder_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recommend"]) == 2
    assert run(["frontier"]) == 2
    assert "Traceback" not in capsys.readouterr().err
