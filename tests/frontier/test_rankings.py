"""Variants of different references never meet; each one's place has a reason in words."""

from pathlib import Path
from typing import Any

import pytest

from seemant.compress.reference.which import DITHERED
from seemant.core.errors import InputError
from seemant.core.jsonl import read_json
from seemant.core.measurement import Measurement
from seemant.core.stage import Input, execute, file_input
from seemant.frontier.candidates import Candidate, gather
from seemant.frontier.config import FrontierConfig
from seemant.frontier.place import diverging_less, place
from seemant.frontier.rankings import FILE, FP, one_ranking, rankings
from seemant.frontier.readings import Reading, as_reading
from seemant.frontier.recommend_config import RecommendConfig
from seemant.frontier.recommend_run import STAGE as RECOMMEND
from seemant.frontier.run import STAGE
from tests.frontier.artefacts import artefact, bench, probe, variant

LEVEL = [0.1 * at for at in range(10)]


def made(name: str, size: float, reference: str = FILE, base: str = "a", **kld: float) -> Candidate:
    facts = {"reference": reference, "base": {"label": base, "sha256": base}, "adapter": None}
    return Candidate(
        name, file_bytes=size, variant=facts, kld={g: reading(v) for g, v in kld.items()}
    )


def reading(value: float, half: float | None = None) -> Reading:
    return as_reading(
        Measurement(
            subject="x",
            metric="kld",
            value=value,
            unit="nats/token",
            ci_low=None if half is None else value - half,
            ci_high=None if half is None else value + half,
            ci_method="none: a test" if half is None else "a test",
            n=1,
        )
    )


def test_a_kind_of_reference_is_a_ranking_and_a_base_stands_with_its_variants() -> None:
    student = Candidate("student", made_of=("s", None))
    other = Candidate("other", made_of=("o", None))
    kinds = [
        made("w/q4", 1),
        made("w/tuned", 1, f"{FILE} + adapter, merged in fp32"),
        made("d/q4", 1, DITHERED, "d"),
        made("s/q4", 1, FP, "s"),
        student,
        other,
    ]
    found = {kind: [c.subject for c in group] for kind, group in rankings(kinds).items()}
    assert found == {
        FILE: ["w/q4", "w/tuned", "other"],
        FP: ["s/q4", "student"],
        DITHERED: ["d/q4"],
    }


def test_where_all_variants_are_of_fp_models_others_stand_there_too() -> None:
    group = [made("s/q4", 1, FP, "s"), Candidate("other", made_of=("o", None))]
    assert list(rankings(group)) == [FP]


def test_a_model_whose_kind_is_known_stands_there_with_or_without_variants() -> None:
    group = [
        made("w/q4", 1),
        Candidate("dithered", made_of=("d", None), kind=DITHERED),
        Candidate("student", made_of=("s", None), kind=FP),
    ]
    found = {kind: [c.subject for c in group] for kind, group in rankings(group).items()}
    assert found == {FILE: ["w/q4"], FP: ["student"], DITHERED: ["dithered"]}
    others = [made("s/q4", 1, FP, "s"), Candidate("d", kind=DITHERED), Candidate("o")]
    found = {kind: [c.subject for c in group] for kind, group in rankings(others).items()}
    assert found == {FP: ["s/q4", "o"], DITHERED: ["d"]}, "a model's kind is no variant's default"


@pytest.mark.parametrize("by_file", [False, True])
def test_the_stage_that_made_a_probed_model_says_its_kind(tmp_path: Path, by_file: bool) -> None:
    """The artefact's folder was probed, or the file in it: both are known by their content."""
    inputs: dict[str, Input] = {}
    for stage in ("dither", "pretrain", "convert"):
        of = artefact(tmp_path, stage, {"model.gguf": stage.encode()})
        given = file_input(of.path / "model.gguf") if by_file else of.as_input(stage)
        margins = {"hi": LEVEL}
        inputs[f"probe/{stage}"] = probe(tmp_path, stage, margins, {"model": given}).as_input(stage)
    assert {c.subject: c.kind for c in gather(inputs)} == {
        "dither": DITHERED,
        "pretrain": FP,
        "convert": None,
    }


def test_less_divergence_in_every_language_in_as_few_bytes_beats() -> None:
    rtn, gptq = made("rtn", 1000, hi=0.6, en=0.3), made("gptq", 1004, hi=0.2, en=0.1)
    english = made("english", 1000, hi=0.7, en=0.05)
    big, small = made("big", 2000, hi=0.2, en=0.1), made("small", 500, hi=0.9, en=0.4)
    foreign = made("foreign", 10, base="b", hi=0.0, en=0.0)
    every = [rtn, gptq, english, big, small, foreign]
    beaten = {c.subject: [o.subject for o in diverging_less(c, every)] for c in every}
    assert beaten == {
        "rtn": ["gptq"],
        "gptq": [],
        "english": [],
        "big": ["gptq"],
        "small": [],
        "foreign": [],
    }


def test_two_equal_variants_do_not_beat_each_other() -> None:
    pair = [made("a", 100, hi=0.1), made("b", 100, hi=0.1)]
    assert not diverging_less(pair[0], pair) and not diverging_less(pair[1], pair)


def test_weights_are_compared_before_the_runtime_s_own_rounding() -> None:
    a, b = made("a", 100, hi=0.1), made("b", 100, hi=0.2)
    a.kld_weights, b.kld_weights = {"hi": reading(0.05)}, {"hi": reading(0.01)}
    assert diverging_less(a, [a, b]) == [b] and not diverging_less(b, [a, b])


@pytest.mark.parametrize(
    ("half", "words"), [(None, "no intervals"), (0.01, "intervals apart"), (0.3, "overlap")]
)
def test_the_place_names_who_beats_it_where_and_how_surely(half: float | None, words: str) -> None:
    rtn, gptq = made("rtn", 1000), made("gptq", 1000)
    rtn.kld = {"hi": reading(0.6, half), "en": reading(0.3, half)}
    gptq.kld = {"hi": reading(0.2, half), "en": reading(0.1, half)}
    standing: dict[str, Any] = {
        "on_frontier": False,
        "dominated_by": ["gptq"],
        "p_dominated": 0.75,
        "obstacles": [],
    }
    said = place(rtn, [rtn, gptq], standing)
    assert said.startswith("beaten by gptq: the same size, divergence in Hindi 0.2 against 0.6")
    assert words in said and "75% of the resamples" in said
    said = place(gptq, [rtn, gptq], {**standing, "dominated_by": [], "obstacles": ["no probe"]})
    assert said == (
        "no variant of its reference diverges less in every language in as few bytes; "
        "not ranked by its answers: no probe"
    )


def world(store: Path) -> dict[str, Input]:
    """A fine variant of each reference; the dithered one is the smallest and the best."""
    inputs: dict[str, Input] = {}
    for name, kind, size, level in (
        ("w", FILE, 300, 0.5),
        ("w3", FILE, 290, 0.4),
        ("d", DITHERED, 100, 0.9),
        ("d2", DITHERED, 110, 0.8),
        ("s", FP, 50, 0.7),
    ):
        base = {"label": kind, "sha256": kind}
        bits = 3 if name == "w3" else 4
        facts = {"reference": kind, "base": base, "adapter": None, "format": "q4_0", "bits": bits}
        given = variant(store, f"m/{name}", size, **facts).as_input(name)
        inputs[f"variant/{name}"] = given
        margins = {"hi": [level + 0.01 * x for x in LEVEL]}
        inputs[f"probe/{name}"] = probe(store, f"m/{name}", margins, {"model": given}).as_input(
            f"{name}-probe"
        )
    timed = bench(store, {"w": (40, 6e8), "w3": (40, 6e8)})
    return {**inputs, "bench": timed.as_input("bench")}


def test_the_file_keeps_rankings_apart_and_says_what_is_never_used(tmp_path: Path) -> None:
    done = execute(STAGE, FrontierConfig(resamples=100), world(tmp_path), store=tmp_path)
    file = read_json(done.path / "frontier.json")
    rows = {row["subject"]: row for row in file["candidates"]}
    assert sorted(file["rankings"]) == [FILE, DITHERED, FP]
    assert rows["m/w"]["on_frontier"] and rows["m/s"]["on_frontier"]  # the better d, s beat nobody
    assert rows["m/d2"]["dominated_by"] == ["m/d"]
    assert not rows["m/d"]["deployable"] and "dithered" in rows["m/d"]["warnings"][0]
    assert rows["m/s"]["deployable"], "nobody of its ranking was timed, so time is no axis there"
    assert rows["m/w"]["variant"]["format"] == "q4_0" and rows["m/w"]["place"]


def test_a_recommendation_chooses_within_the_ranking_that_ships(tmp_path: Path) -> None:
    done = execute(STAGE, FrontierConfig(resamples=100), world(tmp_path), store=tmp_path)
    config = RecommendConfig(devices=("board-4gb",), lang=("hi",), bits=(4, 3, 8), resamples=100)
    given = {"frontier": done.as_input("frontier")}
    asked = read_json(
        execute(RECOMMEND, config, given, store=tmp_path).path / "recommendation.json"
    )["requests"]
    assert [(each["bits"], each["pick"]) for each in asked] == [
        (None, "m/w"),
        (4, "m/w"),
        (3, "m/w3"),
        (8, None),
    ]
    assert asked[2]["device_title"].endswith(", 3 bits")
    assert any("3 candidates of other references" in note for note in asked[0]["notes"])


def test_where_only_dithered_ones_were_measured_nothing_is_served(tmp_path: Path) -> None:
    every = world(tmp_path)
    given = {role: every[role] for role in ("variant/d", "probe/d")}
    done = execute(STAGE, FrontierConfig(resamples=100), given, store=tmp_path)
    config = RecommendConfig(devices=("board-4gb",), lang=("hi",), resamples=100)
    asked = execute(RECOMMEND, config, {"frontier": done.as_input("frontier")}, store=tmp_path)
    entry = read_json(asked.path / "recommendation.json")["requests"][0]
    assert entry["pick"] is None and entry["serve_command"] is None
    assert entry["least_bad"]["subject"] == "m/d"


def test_what_cannot_be_deployed_chooses_no_ranking() -> None:
    rows: list[dict[str, Any]] = [
        {"ranking": FILE, "deployable": False},
        {"ranking": FP, "deployable": True},
        {"ranking": DITHERED, "deployable": False},
    ]
    assert one_ranking(rows) == [rows[1]]
    assert one_ranking([rows[2]]) == [rows[2]]
    assert one_ranking([]) == []


def test_lost_first_without_a_variant_is_refused() -> None:
    from seemant.cli.compress import lost_first

    with pytest.raises(InputError, match="no variant"):
        lost_first("base", "tuned", "another")
