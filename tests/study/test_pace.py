"""A machine's pace: measured once, kept; a plan's seconds follow it, each stage by its own work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seemant.study import pace as pacing
from seemant.study.pace import Pace, pace_here, place_here
from seemant.study.plan import plan
from seemant.study.spec import load_study

STUDY = """\
study: toy
title: A toy
expected_on: there
expected_pace: {torch: 0.5, engine: 1.0}
nodes:
  paragraphs:
    stage: corpus
    expect: {seconds: 10}
  base:
    stage: probe
    inputs: {model: "embedded:gemma-3-270m"}
    expect: {seconds: 20}
  far:
    stage: divergence
    inputs: {model: "embedded:gemma-3-270m", paragraphs: paragraphs}
    expect: {seconds: 40}
"""


def test_work_takes_as_many_times_as_long_as_the_fixed_work_did() -> None:
    there = Pace(torch=0.5, engine=1.0)
    assert Pace(torch=1.0, engine=3.0).against(there, 0.0) == 2.0
    assert Pace(torch=1.0, engine=3.0).against(there, 1.0) == 3.0
    assert Pace(torch=1.0, engine=3.0).against(there, 0.25) == 2.25
    assert Pace(torch=1.0).against(there, 1.0) == 2.0, "without the model torch stands for it"
    assert there.against(there, 0.4) == 1.0


def test_a_plan_scales_each_stage_by_its_own_work_and_the_whole_by_its_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seemant.study.plan.cores", lambda: 2)
    file = tmp_path / "toy.yaml"
    file.write_text(STUDY)
    study = load_study(str(file))
    here = plan(study, tmp_path, Pace(torch=1.0, engine=3.0))
    share = pacing.ENGINE_SHARE["divergence"]
    far = 40 * (3 * share + 2 * (1 - share))
    assert {row.node: row.seconds for row in here.rows} == {
        "paragraphs": 20.0,
        "base": 60.0,
        "far": round(far, 1),
    }
    assert here.wall_s == pytest.approx(20 + far, abs=0.1), "base runs beside the longer chain"
    assert here.pace == {"torch": 2.0, "engine": 3.0}
    plain = plan(study, tmp_path)
    assert [row.seconds for row in plain.rows] == [10, 20, 40]
    assert (plain.wall_s, plain.pace) == (50, None)


def test_a_pace_is_measured_once_and_a_damaged_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    found = [Pace(torch=1.0), Pace(torch=2.0, engine=3.0), Pace(torch=4.0)]
    monkeypatch.setattr(pacing, "measured", lambda: found.pop(0))
    told: list[str] = []
    assert pace_here(say=told.append) == pace_here(say=told.append) == Pace(torch=1.0)
    assert len(told) == 1
    place_here().write_text('{"torch": 0}')
    assert pace_here(say=told.append) == Pace(torch=2.0, engine=3.0)
    other = place_here()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert place_here() != other, "a smaller set of instructions is another machine"
    assert pace_here(say=told.append) == Pace(torch=4.0)


def test_a_cache_that_is_no_folder_hinders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(pacing, "measured", lambda: Pace(torch=1.0))
    assert pace_here(say=lambda _: None) == Pace(torch=1.0)


def test_a_measurement_without_the_model_tells_torch_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seemant.study.pace"],
        env=os.environ | {"SEEMANT_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = Pace(**json.loads(done.stdout))
    assert found.torch > 0 and found.engine is None


@pytest.mark.real
def test_with_the_model_both_kinds_of_work_are_measured() -> None:
    found = pacing.measured()
    assert found.torch > 0 and found.engine is not None and found.engine > 0
