"""What the alarm saw, in the report."""

import json
import re
from pathlib import Path

import pytest

from seemant.report.nodes import read_nodes
from seemant.report.sections.alarm import alarm
from seemant.train.alarm.hook import ALARM_NAME
from tests.frontier.artefacts import artefact
from tests.train.alarm.fakes import fake_alarm, go_on


def looks_of(out: Path, fall: float) -> str:
    out.mkdir()
    watch = fake_alarm(out, lambda look: fall * max(0, look - 5))
    go_on(watch, [4.0 / (1 + 0.2 * k) for k in range(1, 11)])
    return (out / ALARM_NAME).read_text(encoding="utf-8")


def section(tmp_path: Path, files: dict[str, str]) -> str:
    done = artefact(tmp_path / "store", "train", files, inputs={}, measurements=[])
    return alarm(read_nodes({"node/train-smol": done.as_input("train-smol")})) or ""


def test_a_ring_is_shown_with_its_figure(tmp_path: Path) -> None:
    text = looks_of(tmp_path / "run", 0.15)
    found = section(tmp_path, {ALARM_NAME: text})
    rang = [look for look in map(json.loads, text.splitlines()) if look["verdict"] == "ring"]
    assert found.count("<svg") == 1 and 'class="ring"' in found
    assert found.count(">ring</td>") == len(rang) > 0
    assert f"ring, step {rang[0]['step']}" in found
    assert "Mimicry rose by" in found and "train-smol" in found


def test_a_quiet_run_says_so_in_one_row(tmp_path: Path) -> None:
    found = section(tmp_path, {ALARM_NAME: looks_of(tmp_path / "run", 0.0)})
    assert "quiet in all 10 looks" in found and "<td>ring</td>" not in found


@pytest.mark.parametrize("files", [{}, {ALARM_NAME: ""}, {ALARM_NAME: "not json\n{}\n"}])
def test_without_looks_there_is_no_section(tmp_path: Path, files: dict[str, str]) -> None:
    assert section(tmp_path, {"losses.jsonl": "", **files}) == ""


def test_a_bucket_name_cannot_become_markup(tmp_path: Path) -> None:
    text = looks_of(tmp_path / "run", 0.0)
    bad = '"loss_by_bucket": {"</svg><script>alert(1)</script>": 3.0}'
    text = re.sub(r'"loss_by_bucket": ?\{\}', bad, text)
    found = section(tmp_path, {ALARM_NAME: text})
    assert "<script>" not in found and "&lt;script&gt;" in found
