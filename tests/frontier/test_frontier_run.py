"""The stage itself: artefacts in, one file with all candidates out, joined by content."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.stage import Input, execute
from seemant.frontier.config import FrontierConfig
from seemant.frontier.run import STAGE
from tests.frontier.artefacts import bench, divergence, probe, variant

HARD = np.random.default_rng(1).normal(scale=0.2, size=40)
QUICK = FrontierConfig(resamples=300)


def scores(level: float, *languages: str) -> dict[str, list[float | None]]:
    return {g: [*(HARD - HARD.mean() + level).tolist(), None] for g in languages}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def world(store: Path) -> dict[str, Input]:
    """Two files, a simulated one, the model that was never benched; q4 is broken in Hindi."""
    inputs: dict[str, Input] = {}
    for name, size, level in (("q8", 300, 0.5), ("q4", 150, 0.4), ("ghost", 0, 0.5)):
        given = variant(store, f"m/{name}", size, simulated=name == "ghost").as_input(name)
        inputs[f"variant/{name}"] = given
        # probed under another name: only the content says which variant it is
        probed = probe(store, f"as-probed-{name}", scores(level, "hi", "en"), {"model": given})
        inputs[f"probe/{name}"] = probed.as_input(f"probe-{name}")
    broken = divergence(store, "m/q4", {"hi": 4.4, "en": 0.09}, inputs["variant/q4"])
    inputs["divergence/q4"] = broken.as_input("d")
    inputs["probe/base"] = probe(store, "m", scores(0.6, "hi", "en")).as_input("probe-base")
    timed = bench(store, {"q8": (40, 600e6), "q4": (60, 400e6)})
    inputs["bench"] = timed.as_input("bench")
    return inputs


def candidates(store: Path, inputs: dict[str, Input], config: FrontierConfig = QUICK) -> Any:
    done = execute(STAGE, config, inputs, store=store)
    file = read_json(done.path / "frontier.json")
    return file, {row["subject"]: row for row in file["candidates"]}


def test_every_measured_subject_is_in_the_file(store: Path) -> None:
    file, rows = candidates(store, world(store))
    assert list(rows) == ["m", "m/ghost", "m/q4", "m/q8"]
    assert file["axes"] == [
        "quality:hi",
        "quality:en",
        "latency_ms",
        "peak_rss_bytes",
        "file_bytes",
    ]
    assert rows["m/q8"]["decode_tokens_per_s"] == 40 and rows["m/q8"]["file_bytes"] == 300
    assert rows["m/q8"]["quality"]["hi"]["value"] == pytest.approx(0.5)
    assert rows["m/q8"]["quality"]["hi"]["n_clusters"] == 40


def test_only_what_has_a_file_and_a_latency_can_stand_on_the_frontier(store: Path) -> None:
    _, rows = candidates(store, world(store))
    assert [s for s, row in rows.items() if row["deployable"]] == ["m/q4", "m/q8"]
    assert rows["m/q8"]["on_frontier"]
    assert not rows["m/q4"]["on_frontier"]  # damaged in Hindi, small as it is
    assert rows["m/q4"]["place"].endswith(
        "off the frontier: damaged in Hindi: divergence 4.40 nats/token, limit 0.5"
    )
    assert rows["m/ghost"]["p_dominated"] is None
    assert any("simulated" in w for w in rows["m/ghost"]["warnings"])
    assert any("not measured" in w for w in rows["m"]["warnings"])


def test_the_guard_flags_the_variant_that_english_alone_would_pass(store: Path) -> None:
    _, rows = candidates(store, world(store))
    assert rows["m/q4"]["damaged"] == ["hi"] and rows["m/q4"]["guard"]["hi"] == 4.4
    assert rows["m/q8"]["damaged"] == []


def test_a_dominated_candidate_says_by_whom(store: Path) -> None:
    inputs = world(store)
    slow = variant(store, "m/slow", 310).as_input("slow")
    inputs["variant/slow"] = slow
    inputs["probe/slow"] = probe(store, "m/slow", scores(0.3, "hi", "en")).as_input("probe-slow")
    timed = bench(store, {"q8": (40, 6e8), "q4": (60, 4e8), "slow": (39, 7e8)})
    inputs["bench"] = timed.as_input("bench")
    _, rows = candidates(store, inputs)
    # q4 is better and smaller too, but its Hindi is damaged, so it beats nobody
    assert rows["m/slow"]["dominated_by"] == ["m/q8"]
    assert rows["m/slow"]["p_dominated"] == 1.0 and not rows["m/slow"]["on_frontier"]
    assert rows["m/q8"]["p_dominated"] == 0.0


def test_without_a_bench_latency_and_memory_are_no_axes(store: Path) -> None:
    inputs = world(store)
    del inputs["bench"]
    file, rows = candidates(store, inputs)
    assert file["axes"] == ["quality:hi", "quality:en", "file_bytes"]
    assert rows["m/q8"]["on_frontier"] and not rows["m"]["deployable"]


def test_names_of_roles_do_not_change_the_file(store: Path) -> None:
    inputs = world(store)
    first, _ = candidates(store, inputs)
    turned = {
        (role.replace("/", "/z-") if role != "bench" else role): given
        for role, given in reversed(inputs.items())
    }
    second, _ = candidates(store, turned)
    assert first == second


def test_two_probes_of_one_subject_are_refused(store: Path) -> None:
    inputs = world(store)
    inputs["probe/again"] = probe(store, "m", scores(0.1, "hi")).as_input("again")
    with pytest.raises(BadFile, match="two probes"):
        execute(STAGE, QUICK, inputs, store=store)


def test_two_variants_of_one_name_are_refused(store: Path) -> None:
    inputs = world(store)
    inputs["variant/again"] = variant(store, "m/q4", 999, made="otherwise").as_input("again")
    with pytest.raises(BadFile, match="two variants are called 'm/q4'"):
        execute(STAGE, QUICK, inputs, store=store)


def test_no_scored_answer_at_all_is_an_error_with_words(store: Path) -> None:
    silent = probe(store, "m", {"hi": [None] * 10}).as_input("p")
    with pytest.raises(BadFile, match="no probe has a scored answer"):
        execute(STAGE, QUICK, {"probe/m": silent}, store=store)


def test_measurements_hold_nothing_that_depends_on_time(store: Path) -> None:
    done = execute(STAGE, QUICK, world(store), store=store)
    assert {m.metric for m in done.manifest.measurements} == {"pmi_margin"}
    assert not any(m.timed for m in done.manifest.measurements)


def test_a_tuned_model_is_joined_with_its_bench_by_content(store: Path) -> None:
    model = Input(Path("x"), "path:models/tiny.gguf", "a" * 64)
    adapter = Input(Path("x"), "train", "b" * 64)
    both = {"model": model, "adapter": adapter}
    inputs = {"probe/t": probe(store, "renamed", scores(0.2, "hi"), both).as_input("probe-t")}
    timed = bench(
        store, {"tiny+lora": (30, 5e8), "tiny": (33, 4e8)},
        {"variant/t": model, "adapter/t": adapter, "variant/u": model},
    )  # fmt: skip
    inputs["bench"] = timed.as_input("bench")
    _, rows = candidates(store, inputs)
    assert list(rows) == ["renamed"]
    assert rows["renamed"]["decode_tokens_per_s"] == 30
    assert (rows["renamed"]["ref"], rows["renamed"]["adapter"]) == (model.label, "train")
