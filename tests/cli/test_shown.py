"""What stands on the terminal beside the numbers: references, readings, notes."""

import json
from pathlib import Path

import pytest

from seemant.cli.main import run
from seemant.models.backends.tiny import write_tiny

Said = pytest.CaptureFixture[str]
TEXTS = {"hi": "नदी बहती है और पानी ठंडा है", "kn": "ನದಿ ಹರಿಯುತ್ತದೆ", "en": "the river runs to the sea"}
FEW = ["--tokens-per-language", "40", "--tokens-per-paragraph", "10"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two models and a text."""
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "tiny.gguf")
    write_tiny(tmp_path / "other.gguf", seed=1)
    lines = [
        json.dumps({"id": f"{lang}-{n}", "lang": lang, "text": f"{TEXTS[lang]} {n}. " * 20})
        for n in range(10)
        for lang in TEXTS
    ]
    (tmp_path / "text.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def _said(capsys: Said, *command: str) -> tuple[str, str]:
    capsys.readouterr()
    assert run(list(command)) == 0
    found = capsys.readouterr()
    return found.out, found.err


def test_errors_against_a_rounded_file_say_so(folder: Path, capsys: Said) -> None:
    out, _ = _said(capsys, "compress", "path:tiny.gguf", "--out", "q4")
    assert "reference: fp\n" in out
    asked = ["compress", "path:q4/model.gguf", "--out", "again"]
    for out, _ in (_said(capsys, *asked), _said(capsys, *asked)):  # made, and already there
        assert "reference: dequantised file (stored as Q4_0; embedding Q8_0)" in out
        assert "the blocks and the embedding meet the file's own grid again" in out
        assert out.splitlines()[-1].endswith(": again")
    out, _ = _said(capsys, *asked, "--json")
    assert json.loads(out)["stage"] == "compress"
    out, err = _said(
        capsys, "divergence", "path:q4/model.gguf", "text.jsonl", "--variant", "again", *FEW
    )
    assert "reference: dequantised file" in out and "note:" not in err


def test_a_variant_of_another_model_is_noted(folder: Path, capsys: Said) -> None:
    _said(capsys, "compress", "path:other.gguf", "--out", "q4")
    command = ["divergence", "path:tiny.gguf", "text.jsonl", "--variant", "q4", *FEW]
    out, err = _said(capsys, *command, "--out", "far")
    assert "note: the variant was made from path:other.gguf, not from path:tiny.gguf" in err
    assert "reference:" not in out  # of the variant's own base, which was not compared
    told = json.loads((folder / "far/manifest.json").read_text())["measurements"]
    assert {m["conditions"]["made_from"] for m in told} == {"path:other.gguf"}


def test_a_damage_map_is_summed_up_and_read_out(folder: Path, capsys: Said) -> None:
    _said(capsys, "compress", "path:tiny.gguf", "--out", "q4")
    command = ["attribution", "path:tiny.gguf", "text.jsonl", "--variant", "q4", *FEW]
    out, _ = _said(capsys, *command, "--out", "map")
    rows = [line for line in out.splitlines() if " damage " in line]
    assert len(rows) == len({row.split("nats/byte")[0] for row in rows}) == 3 + 10
    assert all("how=" in row and "site=" in row for row in rows)
    n_cells = len((folder / "map/damage.jsonl").read_text().splitlines())
    assert f"{n_cells - len(rows)} more: map/damage.jsonl" in out
    read = json.loads((folder / "map/reading.json").read_text())["sentences"]
    assert read and all(f"- {each['text']}" in out for each in read)


def test_bad_lines_are_counted_with_their_file(folder: Path, capsys: Said) -> None:
    with (folder / "text.jsonl").open("a") as file:
        file.write('{broken\n{"id": "x", "lang": "ta", "text": "x"}\n')
    command = ["compress", "path:tiny.gguf", "--method", "imatrix", "--calibration", "text.jsonl"]
    out, err = _said(capsys, *command, "--out", "made", "--json")
    assert "note: 2 bad lines were left out, with the reasons: made/rejected.jsonl" in err
    assert json.loads(out)["stage"] == "compress"


@pytest.mark.parametrize(
    ("asked", "noted"), [([], True), (["--fit", "mse"], True), (["--method", "imatrix"], False)]
)
def test_calibration_that_is_not_read_is_noted(
    folder: Path, capsys: Said, asked: list[str], noted: bool
) -> None:
    _, err = _said(capsys, "compress", "path:tiny.gguf", "--calibration", "text.jsonl", *asked)
    assert ("note: --calibration is not read" in err) == noted
