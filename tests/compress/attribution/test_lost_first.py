"""What is lost first, on probes whose margins are made so that the answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from seemant.compress.attribution.lost_first import Point, kept_table, kind_of, kinds_of
from seemant.compress.attribution.lost_first_config import LostFirstConfig
from seemant.compress.attribution.lost_first_differences import differences, verdict
from seemant.compress.attribution.lost_first_run import STAGE
from seemant.compress.attribution.style_kept import style_table
from seemant.core.errors import BadConfig
from seemant.core.stage import Input, execute
from seemant.probe.score import Score
from tests.frontier.artefacts import artefact

Scores = dict[str, Score]
RNG = np.random.default_rng


def score(family: int, category: str, margin: float, *, news: float = 0.0) -> Score:
    return Score(
        probe_id=f"f{family}.hi", family=f"f{family}", lang="hi", category=category,
        pmi_margin=margin, choice=margin > 0, news_score=news,
    )  # fmt: skip


def student(*, taught: float = 0.3, own: float = 0.3, n: int = 24) -> tuple[Scores, Scores]:
    """Base and tuned: n taught facts, n own facts, n of conduct, margins spread by a third."""
    base, tuned = {}, {}
    for index in range(3 * n):
        kind = index % 3
        level = (taught, own, 0.3)[kind] * (0.67 + 0.66 * ((index // 3) / n))
        category = "format" if kind == 2 else "fact"
        for scores, margin, news in (
            (base, -0.1 if kind == 0 else level, 0.0),
            (tuned, level, 1.0 + 0.1 * (index % 5)),
        ):
            made = score(index, category, margin, news=news)
            scores[made.probe_id] = made
    return base, tuned


def variant(tuned: Scores, bits: float, shares: tuple[float, float, float], noise: float) -> Point:
    generator, made = RNG(int(bits * 10)), {}
    for index, (probe, own) in enumerate(tuned.items()):
        assert own.pmi_margin is not None and own.news_score is not None
        margin = own.pmi_margin * shares[index % 3] + noise * generator.normal()
        made[probe] = own.model_copy(
            update={"pmi_margin": margin, "choice": margin > 0, "news_score": own.news_score * 0.6}
        )
    return Point(f"m/{bits}", bits, made)


def test_a_kind_is_what_the_base_knew() -> None:
    right, wrong = score(0, "fact", 0.2), score(0, "fact", -0.2)
    assert kind_of(wrong, right) == "taught" and kind_of(right, right) == "own"
    assert kind_of(right, wrong) is None  # what is not there cannot be lost
    assert kind_of(wrong, score(0, "identity", 0.2)) == "conduct"
    assert kind_of(right, right, frozenset({"f0"})) == "taught"
    assert kind_of(wrong, right, frozenset({"f9"})) == "own"


def test_the_kind_that_falls_faster_is_lost_first() -> None:
    base, tuned = student()
    kinds = kinds_of(base, tuned)
    points = [variant(tuned, 4.5, (0.4, 0.9, 0.9), 0.03), variant(tuned, 8.5, (1, 1, 1), 0.01)]
    rows = {(r.kind, r.bits): r for r in kept_table(kinds, tuned, points, 0)}
    assert rows["taught", 4.5].kept == pytest.approx(0.4, abs=0.06)
    assert rows["own", 4.5].kept == pytest.approx(0.9, abs=0.06)
    assert rows["own", 8.5].kept_low is not None and rows["own", 8.5].kept_low > 0.95
    found = differences(kinds, tuned, points, 0)
    assert {(d.first, d.second) for d in found} == {
        ("taught", "own"), ("taught", "conduct"), ("own", "conduct")
    }  # fmt: skip
    assert verdict(found) == "taught"


def test_kinds_that_fall_alike_are_undecided() -> None:
    base, tuned = student()
    kinds = kinds_of(base, tuned)
    found = differences(kinds, tuned, [variant(tuned, 4.5, (0.7, 0.7, 0.7), 0.1)], 0)
    assert verdict(found) is None


def test_small_margins_alone_do_not_make_a_kind_lost_first() -> None:
    """All margins lose the same 0.08: taught ones are small, so plainly they keep less."""
    base, tuned = student(n=40)
    generator = RNG(4)
    for index, (probe, own) in enumerate(tuned.items()):
        shares = ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.2, 0.4, 0.4))[index % 3]
        margin = float(generator.choice([0.1, 0.2, 0.4], p=shares))
        tuned[probe] = own.model_copy(update={"pmi_margin": margin})
    lost = {
        probe: own.model_copy(
            update={"pmi_margin": (own.pmi_margin or 0) - 0.08 + 0.01 * generator.normal()}
        )
        for probe, own in tuned.items()
    }
    found = differences(kinds_of(base, tuned), tuned, [Point("m", 4.5, lost)], 0)
    pair = next(d for d in found if (d.first, d.second) == ("taught", "own"))
    assert pair.high is not None and pair.high < -0.2
    assert pair.matched_low is not None and pair.matched_high is not None
    assert pair.matched_low < 0 < pair.matched_high and abs(pair.matched) < 0.1


def test_margins_that_only_one_kind_has_are_left_out_of_the_matched_difference() -> None:
    """Most of the taught margins are smaller than any own one, and only these are lost."""
    base, tuned = student(n=40)
    for index, (probe, own) in enumerate(tuned.items()):
        small = index % 3 == 0 and index % 4 != 0
        level = 0.05 if small else 0.3 + 0.001 * (index % 50)
        tuned[probe] = own.model_copy(update={"pmi_margin": level})
    lost = {
        probe: own.model_copy(
            update={"pmi_margin": (own.pmi_margin or 0) * (-3.0 if own.pmi_margin == 0.05 else 0.8)}
        )
        for probe, own in tuned.items()
    }
    kinds = kinds_of(base, tuned)
    found = differences(kinds, tuned, [Point("m", 4.5, lost)], 0)
    pair = next(d for d in found if (d.first, d.second) == ("taught", "own"))
    assert pair.high is not None and pair.high < -0.2  # plainly: taught margins are small
    assert pair.matched == pytest.approx(0, abs=1e-9) and 0.7 < pair.unmatched < 1
    apart = {
        probe: own.model_copy(update={"pmi_margin": 0.05 if kinds.get(probe) == "taught" else 0.5})
        for probe, own in tuned.items()
    }
    pair = differences(kinds, apart, [Point("m", 4.5, lost)], 0)[0]
    assert pair.unmatched == 1 and pair.matched_low is None and verdict([pair]) is None


def test_few_families_have_no_interval() -> None:
    base, tuned = student(n=5)
    point = variant(tuned, 4.5, (0.1, 1, 1), 0.01)
    kinds = kinds_of(base, tuned)
    assert all(r.kept_low is None for r in kept_table(kinds, tuned, [point], 0))
    assert verdict(differences(kinds, tuned, [point], 0)) is None


def test_style_is_read_where_tuning_moved_it() -> None:
    base, tuned = student()
    found = style_table(base, tuned, [variant(tuned, 4.5, (1, 1, 1), 0)], 0)
    assert [r.trait for r in found] == ["news_score"]
    assert found[0].kept == pytest.approx(0.6) and found[0].shift == pytest.approx(1.2, abs=0.05)


def written(scores: Scores) -> dict[str, str]:
    lines = (s.model_dump_json() + "\n" for s in scores.values())
    return {"scores.jsonl": "".join(lines)}


def test_the_stage_finds_each_probe_s_variant(tmp_path: Path) -> None:
    base, tuned = student(n=10)
    store = tmp_path / "store"
    inputs = {
        "base": artefact(store, "probe", written(base)).as_input("base"),
        "tuned": artefact(store, "probe", written(tuned)).as_input("tuned"),
    }
    for bits in (4.5, 8.5):
        facts = {"subject": f"s+lora/{bits}", "bits_per_weight_file": bits}
        made = artefact(store, "compress", {"variant.json": json.dumps(facts)})
        given = made.as_input(f"v{bits}")
        inputs[f"variant/{bits}"] = given
        point = variant(tuned, bits, (bits / 10, 1, 1), 0.01)
        probe = artefact(store, "probe", written(point.scores), inputs={"model": given})
        inputs[f"probe/{bits}"] = probe.as_input(f"p{bits}")
    done = execute(STAGE, LostFirstConfig(), inputs, store=store)
    values = {(m.subject, m.metric): m.value for m in done.manifest.measurements}
    assert values["s+lora/4.5", "kept_taught"] == pytest.approx(0.45, abs=0.05)
    assert values["s+lora/8.5", "kept_taught"] == pytest.approx(0.85, abs=0.05)
    told = json.loads((done.path / "lost_first.json").read_text())
    assert told["lost_first"] == "taught" and len(told["differences"]) == 3
    alone: dict[str, Input] = {k: v for k, v in inputs.items() if not k.startswith("variant/")}
    with pytest.raises(BadConfig, match="no probe was made of any") as refused:
        execute(STAGE, LostFirstConfig(), alone, store=store)
    assert "seemant lost-first BASE TUNED" in str(refused.value.fix)  # as the command is written
