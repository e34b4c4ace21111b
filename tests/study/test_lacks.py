"""What a study lacks is known before any work; each refusal carries the command that mends it."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seemant.core.errors import InputError
from seemant.corpus.shipped import shipped
from seemant.study.calibration_text import calibration_lacks
from seemant.study.lacks import lacks, refuse
from seemant.study.run import run_study
from seemant.study.spec import Study, load_study

STUDY = """\
study: toy
title: A toy
params: {corpus: null, languages: [hi, kn, en], suite: null, teacher: "openai:http://127.0.0.1:9/v1#m"}
nodes:
  paragraphs:
    stage: corpus
    inputs: {files/a: "${corpus}"}
  pairs:
    stage: distill
    inputs: {paragraphs: paragraphs, teacher: "${teacher}"}
"""


def own(tmp_path: Path, *languages: str, n: int = 100) -> Path:
    path = tmp_path / "my text.txt"
    lines = [p.text.replace("\n", " ") for lang in languages for p in shipped(lang)[:n]]  # type: ignore[arg-type]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def toy(tmp_path: Path, *sets: str) -> Study:
    path = tmp_path / "toy.yaml"
    path.write_text(STUDY)
    return load_study(str(path), sets)


@pytest.mark.parametrize("lang", ["hi", "kn", "en"])
def test_text_in_one_language_needs_the_parameter_and_the_fix_is_the_command(
    tmp_path: Path, lang: str
) -> None:
    text = own(tmp_path, lang)
    [found] = lacks(toy(tmp_path, f"corpus={text}"))
    assert "the text has no" in found.what
    command = shlex.split(str(found.fix).partition("   (or")[0])
    assert command[:3] == ["seemant", "study", "run"]
    sets = [command[at + 1] for at, word in enumerate(command) if word == "--set"]
    assert lacks(load_study(command[3], sets)) == [], "the command that it names works"


def test_a_language_of_two_lines_is_too_few(tmp_path: Path) -> None:
    text = own(tmp_path, "hi")
    with text.open("a", encoding="utf-8") as file:
        file.write("ಇದು ಒಂದು ಸಾಲು.\n")
    [found] = lacks(toy(tmp_path, f"corpus={text}", "languages=hi,kn"))
    assert "1 paragraphs of Kannada are too few" in found.what


def test_text_in_marathi_is_named_and_the_study_s_own_way_to_keep_it(tmp_path: Path) -> None:
    text = tmp_path / "my.txt"
    text.write_text("".join(f"{n}. हे पुस्तक चांगले आहे आणि जुने नाही\n" for n in range(50)))
    [found] = lacks(toy(tmp_path, f"corpus={text}", "languages=hi"))
    assert "Marathi (50)" in found.what
    assert "--set paragraphs.keep_others=true" in str(found.fix)
    kept = toy(tmp_path, f"corpus={text}", "languages=hi", "paragraphs.keep_others=true")
    assert lacks(kept) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("corpus=nope.txt", "no such file"),
        ("teacher=embedded:gemma-3-270", "no embedded model"),
        ("teacher=path:nope.gguf", "no such file"),
        ("teacher=null", "no teacher"),
    ],
)
def test_a_missing_file_or_model_is_named_once(tmp_path: Path, value: str, words: str) -> None:
    [found] = lacks(toy(tmp_path, value))
    assert words in found.what
    assert found.fix


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seemant.study.lacks.find_spec", lambda _name: None)
    study = load_study("quick")
    found = lacks(study, pending=["embedded:gemma-3-270m", "embedded:smollm2-135m-instruct"])
    assert "xllamacpp" in found[0].what
    assert "pip install" in str(found[0].fix)


def test_a_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    text = own(tmp_path, "hi")
    said: list[str] = []
    with pytest.raises(InputError, match="no Kannada and English"):
        run_study(toy(tmp_path, f"corpus={text}"), tmp_path / "runs", say=said.append)
    assert said == []
    assert not (tmp_path / "runs").exists()


def test_several_lacks_stand_in_one_refusal(tmp_path: Path) -> None:
    study = toy(tmp_path, "corpus=nope.txt", "teacher=path:nope.gguf")
    with pytest.raises(InputError) as refused:
        refuse(lacks(study))
    assert "nope.txt" in str(refused.value) and "nope.gguf" in str(refused.value)


@pytest.mark.real
def test_lines_too_short_to_calibrate_on_are_refused_with_a_number_that_works(
    tmp_path: Path, gemma_gguf: Path
) -> None:
    text = tmp_path / "my.txt"
    text.write_text("".join(f"यह पंक्ति क्रमांक {n} है।\n" for n in range(100)), encoding="utf-8")
    sets = [f"corpus={text}", "languages=hi"]
    [found] = lacks(load_study("quick", sets))
    assert "too few to calibrate on" in found.what
    command = shlex.split(str(found.fix).partition("   (better")[0])
    assert lacks(load_study("quick", [*sets, command[-1]])) == []


@pytest.mark.parametrize("lang", ["hi", "kn", "en"])
def test_a_calibration_text_in_one_language_is_told_before_work(tmp_path: Path, lang: str) -> None:
    text = own(tmp_path, lang)
    sets = [f"calibration={text}"]
    pending = ["embedded:gemma-3-270m"]
    [found] = lacks(load_study("compression", sets), pending=pending)
    assert "the calibration text has no" in found.what
    assert shlex.split(str(found.fix))[-1] == f"languages={lang}"
    assert lacks(load_study("compression", [*sets, f"languages={lang}"]), pending=pending) == []


def test_a_model_file_that_cannot_be_read_is_told_with_its_own_fault(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\xff" * 60)
    study = load_study("quick", [f"model=path:{bad}"])
    no_text: Any = SimpleNamespace(paragraphs=[])
    [found] = calibration_lacks(study, "paragraphs", no_text, "my.txt")
    assert str(bad) in str(found)
