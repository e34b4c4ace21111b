"""The stage `recommend` on a real frontier artefact and the real catalogue of devices."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.core.errors import BadConfig
from seemant.core.jsonl import read_json
from seemant.core.measurement import Measurement
from seemant.core.stage import Input, execute
from seemant.frontier.config import FrontierConfig
from seemant.frontier.recommend_config import RecommendConfig
from seemant.frontier.recommend_run import STAGE
from seemant.frontier.run import STAGE as FRONTIER
from tests.frontier.artefacts import bench, divergence, probe, variant

HARD = np.random.default_rng(1).normal(scale=0.2, size=40)
MEGA = 10**6


def scores(level: float) -> dict[str, list[float | None]]:
    return {g: (HARD - HARD.mean() + level).tolist() for g in ("hi", "kn")}


@pytest.fixture
def frontier(tmp_path: Path) -> Input:
    """q8 (285 MB) is good; q4 (151 MB) looks good in the probes, but its divergence is lost."""
    store = tmp_path / "runs"
    inputs: dict[str, Input] = {}
    for name, size, kld in (("q8", 285 * MEGA, 0.05), ("q4", 151 * MEGA, 4.6)):
        given = variant(store, f"m/{name}", 1, file_bytes=size).as_input(name)
        inputs[f"variant/{name}"] = given
        inputs[f"probe/{name}"] = probe(store, f"m/{name}", scores(0.5)).as_input(f"p-{name}")
        found = divergence(store, f"m/{name}", {"hi": kld, "kn": kld}, given)
        inputs[f"divergence/{name}"] = found.as_input(f"d-{name}")
    inputs["bench"] = bench(store, {"q8": (40, 400e6), "q4": (60, 250e6)}).as_input("bench")
    return execute(FRONTIER, FrontierConfig(resamples=200), inputs, store=store).as_input("f")


def recommend(frontier: Input, tmp_path: Path, **settings: Any) -> dict[str, Any]:
    config = RecommendConfig(resamples=200, **settings)
    done = execute(STAGE, config, {"frontier": frontier}, store=tmp_path / "runs")
    file = read_json(done.path / "recommendation.json")
    return {request["device"]: request for request in file["requests"]}


def test_the_pick_has_evidence_a_runner_up_and_a_command(frontier: Input, tmp_path: Path) -> None:
    here = recommend(frontier, tmp_path)["this-machine"]
    assert (here["verdict"], here["pick"]) == ("fit", "m/q8")
    assert here["runner_up"]["subject"] == "m/q4"
    assert "damaged it in Hindi" in here["runner_up"]["lost_because"]
    assert shlex.join(here["serve_command"]).startswith("seemant serve runs/compress/")
    evidence = [Measurement.model_validate(m) for m in here["evidence"]]
    assert {m.metric for m in evidence} >= {"pmi_margin", "kld", "file_bytes", "peak_rss"}
    assert all(m.origin == "measured" and m.subject == "m/q8" for m in evidence)


def test_a_budget_that_only_a_damaged_file_meets_is_unfit(frontier: Input, tmp_path: Path) -> None:
    small = recommend(frontier, tmp_path)["file-200mb"]
    assert (small["verdict"], small["pick"]) == ("unfit", None)
    assert small["least_bad"]["misses"] and small["missed_floor"]
    assert small["floors"]["max_file_bytes"] == 200 * MEGA


def test_another_device_says_that_its_latency_was_not_measured(
    frontier: Input, tmp_path: Path
) -> None:
    board = recommend(frontier, tmp_path)["board-4gb"]
    assert board["verdict"] == "fit"
    assert "latency not measured on this device" in board["notes"]
    asked = recommend(frontier, tmp_path, max_latency=1000.0)
    assert asked["this-machine"]["verdict"] == "fit"
    assert asked["board-4gb"]["verdict"] == "unfit"
    assert asked["board-4gb"]["missed_floor"] == "max_latency"


def test_floors_of_the_user_tighten_those_of_the_device(frontier: Input, tmp_path: Path) -> None:
    tight = recommend(frontier, tmp_path, max_memory=300e6)["board-4gb"]
    assert tight["floors"]["max_memory_bytes"] == 300e6
    assert tight["verdict"] == "unfit"


def test_a_quality_that_nothing_reaches_is_named(frontier: Input, tmp_path: Path) -> None:
    high = recommend(frontier, tmp_path, min_quality=2.0)["this-machine"]
    assert high["missed_floor"] == "min_quality"
    assert high["least_bad"]["subject"] == "m/q8"
    assert "above the floor 2" in high["least_bad"]["misses"][0]["why"]


def test_a_language_that_was_not_probed_is_unfit(frontier: Input, tmp_path: Path) -> None:
    english = recommend(frontier, tmp_path, lang=("en",))["this-machine"]
    assert english["verdict"] == "unfit" and english["missed_floor"] == "min_right"


def test_an_unknown_device_names_the_nearest(frontier: Input, tmp_path: Path) -> None:
    with pytest.raises(BadConfig) as caught:
        recommend(frontier, tmp_path, devices=("board-4g",))
    assert "board-4gb" in str(caught.value)


def test_each_request_says_its_word_its_count_and_what_to_do_next(
    frontier: Input, tmp_path: Path
) -> None:
    found = recommend(frontier, tmp_path)
    here, small = found["this-machine"], found["file-200mb"]
    assert here["word"] == "good" and here["words"] == {"hi": "good", "kn": "good"}
    assert here["answers"]["hi"] | {"low": 0, "high": 1} == {
        "right": 40, "asked": 40, "low": 0, "high": 1, "n_families": 40, "whose": None,
    }  # fmt: skip
    assert small["word"] == "too big"  # the least bad is q8: what is damaged is no choice at all
    assert any("200MB" in command for step in small["next"] for command in step["commands"])
