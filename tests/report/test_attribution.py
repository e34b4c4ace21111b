"""Heat maps and readings of where a variant lost it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seemant.report.nodes import read_nodes
from seemant.report.sections.attribution import attribution
from seemant.report.sections.lost_first import lost_first
from seemant.report.svg_heat import shade
from tests.frontier.artefacts import artefact, lines

FEW = "none: fewer than 8 clusters"


def damage(layer: int | None, site: str, how: str, lang: str, per_byte: float, **more: Any) -> Any:
    return {
        "layer": layer, "site": site, "how": how, "lang": lang, "kld": 3 * per_byte, "low": None,
        "high": None, "per_byte": per_byte, "per_byte_low": None, "per_byte_high": None,
        "method": FEW, "n": 100, "n_bytes": 300, "n_chunks": 5, **more,
    }  # fmt: skip


def rows() -> list[Any]:
    found = [
        damage(layer, "layer", how, lang, 0.1 if layer == 2 else 0.01, q=0.01 if layer == 2 else 1)
        for layer in range(4)
        for how in ("insert", "remove")
        for lang in ("kn", "hi")
    ]  # fmt: skip
    found += [damage(1, "ffn_down", "insert", "hi", -0.001)]
    return [
        *found,
        damage(None, "all", "all", "hi", 0.3),
        damage(None, "output", "insert", "hi", 0),
    ]


def section(tmp_path: Path, files: dict[str, str]) -> str:
    done = artefact(tmp_path / "store", "attribution", files)
    return attribution(read_nodes({"node/map": done.as_input("map")})) or ""


def test_a_panel_a_kind_with_layers_and_languages(tmp_path: Path) -> None:
    found = section(tmp_path, {"damage.jsonl": lines(rows())})
    assert found.count("<svg") == 3
    assert found.count('class="heat"') == 2 * 8 + 1
    assert found.count('class="heat-ring"') == 4
    assert found.index("Hindi") < found.index("Kannada")
    assert "each layer compressed alone" in found and "ffn_down of each layer" in found
    full = re.findall(r'fill-opacity="([\d.]+)"', found)
    assert full.count("1.0") == 4 and full.count("0.0") == 1 and full.count("0.667") == 12
    assert "layer 2: 0.10 nats/byte; q = 0.010" in found
    assert "n = 5, too few for an interval" in found


def test_the_reading_is_told_and_cannot_become_markup(tmp_path: Path) -> None:
    said = {"sentences": [{"text": "Layer 2 <b>costs</b> more.", "basis": "intervention"}]}
    found = section(tmp_path, {"damage.jsonl": lines(rows()), "reading.json": json.dumps(said)})
    assert "Layer 2 &lt;b&gt;costs" in found


@pytest.mark.parametrize("files", [{}, {"damage.jsonl": "{}\nno json\n"}])
def test_without_a_map_there_is_no_section(tmp_path: Path, files: dict[str, str]) -> None:
    assert section(tmp_path, {"columns.jsonl": "", **files}) == ""


def test_shades_are_logarithmic_over_three_decades() -> None:
    assert [shade(v, 1.0) for v in (1, 0.1, 0.01, 0.001, 1e-6, 0, -1)] == [
        1, 0.667, 0.333, 0, 0, 0, 0
    ]  # fmt: skip
    assert shade(1.0, 0.0) == 0


def test_what_is_lost_first_is_said_with_its_table(tmp_path: Path) -> None:
    kept = [
        {
            "kind": kind, "lang": None, "subject": "m/q4_0", "bits": 4.5, "kept": value,
            "kept_low": value - 0.1, "kept_high": value + 0.1, "margin": 0.1, "tuned_margin": 0.2,
            "chosen": 0.9, "chosen_low": 0.8, "chosen_high": 1.0, "method": "m", "n": 40,
            "n_families": 20,
        }
        for kind, value in (("taught", 0.41), ("own", 0.83))
    ]  # fmt: skip
    difference = {
        "first": "taught", "second": "own", "difference": -0.4, "matched": -0.3,
        "matched_low": -0.5, "matched_high": -0.1,
    }  # fmt: skip
    for first, words in (("taught", "Lost first: facts that tuning taught."), (None, "Undecided.")):
        told = {"lost_first": first, "differences": [difference]}
        files = {"kept.jsonl": lines(kept), "lost_first.json": json.dumps(told), "style.jsonl": ""}
        done = artefact(tmp_path / str(first), "lost_first", files)
        found = lost_first(read_nodes({"node/first": done.as_input("first")})) or ""
        assert words in found and "0.410" in found
        assert "−0.300 (−0.500 to −0.100) at equal margins; plainly −0.400" in found
    few = difference | {"matched_low": None, "matched_high": None}
    done = artefact(
        tmp_path / "few",
        "lost_first",
        files | {"lost_first.json": json.dumps({"lost_first": None, "differences": [few]})},
    )
    found = lost_first(read_nodes({"node/first": done.as_input("first")})) or ""
    assert "−0.300 (too few for an interval) at equal margins" in found
    told = {"lost_first": None, "differences": [difference | {"unmatched": 1.0}]}
    files = {"kept.jsonl": lines(kept), "lost_first.json": json.dumps(told), "style.jsonl": ""}
    done = artefact(tmp_path / "apart", "lost_first", files)
    found = lost_first(read_nodes({"node/first": done.as_input("first")})) or ""
    assert "no margins in common to compare at; plainly −0.400" in found
    assert lost_first([]) is None
