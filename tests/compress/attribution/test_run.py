"""The stage on a whole, tiny model: its files, resumption, and variants that cannot be placed."""

import json
import shutil
from pathlib import Path

import pytest

from seemant.compress.attribution import damage_map
from seemant.compress.attribution.config import AttributionConfig
from seemant.compress.attribution.run import DAMAGE, JOURNAL, run
from seemant.core.errors import BadFile
from seemant.core.jsonl import write_records
from seemant.core.records import Paragraph
from seemant.core.stage import Input, file_input
from seemant.formats.codes import save_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Grid, fit, grouped, snap
from seemant.models.backends.tiny import write_tiny

CONFIG = AttributionConfig(languages=("hi", "en"), tokens_per_language=100, tokens_per_paragraph=10)
TEXTS = {"hi": "नदी बहती है", "en": "the river runs to the sea"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    root = tmp_path_factory.mktemp("attribution")
    write_tiny(root / "base.gguf")
    file = open_gguf(root / "base.gguf")
    coded = {}
    for name, tensor in file.tensors.items():
        if name.startswith("blk.") and len(tensor.shape) == 2:
            groups = grouped(file.dequantize(name), 32)
            params = fit(groups, Grid(4, 32, True))
            coded[name] = snap(groups, params), params
    (root / "variant").mkdir()
    save_codes(root / "variant" / "codes.safetensors", coded, {})
    write_records(
        root / "text.jsonl",
        [Paragraph(id=f"{g}-{n}", lang=g, text=f"{TEXTS[g]} {n}") for g in ("hi", "en")
         for n in range(10)],
    )  # fmt: skip
    (root / "same").mkdir()
    shutil.copy(root / "base.gguf", root / "same" / "model.gguf")
    (root / "other").mkdir()
    write_tiny(root / "other" / "model.gguf", seed=3)
    return {
        "model": file_input(root / "base.gguf", "embedded:tiny"),
        "paragraphs": file_input(root / "text.jsonl"),
        **{name: file_input(root / name) for name in ("variant", "same", "other")},
    }


def given(inputs: dict[str, Input], variant: str) -> dict[str, Input]:
    return {"model": inputs["model"], "paragraphs": inputs["paragraphs"],
            "variant": inputs[variant]}  # fmt: skip


def test_a_killed_run_goes_on_to_the_same_files(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    measured = run(CONFIG, given(inputs, "variant"), whole)
    cells = len((whole / JOURNAL).read_text().splitlines())
    assert cells == 1 + 4 + 14 + 2 * 4
    lines = (whole / JOURNAL).read_text().splitlines()
    (killed / JOURNAL).write_text("\n".join(lines[:11]) + "\n")
    asked: list[int] = []
    real = damage_map.outcomes
    monkeypatch.setattr(damage_map, "outcomes", lambda *a: asked.append(len(a[2])) or real(*a))
    again = run(CONFIG, given(inputs, "variant"), killed)
    assert asked == [cells - 11] and again == measured
    for name in (DAMAGE, "columns.jsonl", "reading.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    told = json.loads((whole / "reading.json").read_text())
    assert told["sentences"][0]["text"].startswith("With everything compressed")
    by_key = {(m.metric, m.lang, m.conditions.get("how"), m.conditions.get("layer")): m
              for m in measured}  # fmt: skip
    everything = by_key["damage", "hi", "all", None]
    assert everything.value > 1e-4 and everything.ci_low is not None


def test_a_variant_that_is_the_model_loses_nothing(
    inputs: dict[str, Input], tmp_path: Path
) -> None:
    measured = run(CONFIG, given(inputs, "same"), tmp_path)
    damage = [m for m in measured if m.metric == "damage"]
    assert damage and all(m.value == 0 for m in damage)


def test_another_model_is_refused(inputs: dict[str, Input], tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="rotated, or made from another model"):
        run(CONFIG, given(inputs, "other"), tmp_path)
