"""What single sections say, from artefacts made for one case each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seemant.core.measurement import TOO_FEW, Measurement
from seemant.core.stage import Done, Input
from seemant.report.config import ReportConfig
from seemant.report.nodes import Node, read_nodes
from seemant.report.sections.behaviour import behaviour
from seemant.report.sections.compression import _how, compression
from seemant.report.sections.distillation import distillation
from seemant.report.sections.frontier import frontier
from seemant.report.sections.losses import losses
from seemant.report.sections.measurements import all_measurements
from seemant.report.sections.recommendations import recommendations
from seemant.report.sections.summary import summary
from seemant.report.sections.take_away import take_away
from seemant.report.sections.verdict import verdict
from tests.frontier.artefacts import artefact

CONFIG = ReportConfig(study="quick")


def nodes_of(**done: Done) -> list[Node]:
    return read_nodes({f"node/{name}": each.as_input(name) for name, each in done.items()})


def figure(metric: str, value: float, **more: Any) -> Measurement:
    given: dict[str, Any] = {"subject": "m", "unit": "share", "ci_method": "t", "n": 40}
    given |= {"ci_low": value - 0.1, "ci_high": value + 0.1, "lang": "hi"}
    return Measurement.model_validate({**given, "metric": metric, "value": value, **more})


def request(device: str, languages: list[str], pick: str | None) -> dict[str, Any]:
    least = None if pick else {"subject": "least", "misses": [{"floor": "f", "why": "too weak"}]}
    return {
        "device": device, "device_title": device, "languages": languages, "floors": {},
        "verdict": "fit" if pick else "unfit", "pick": pick, "n_fit": 1, "runner_up": None,
        "why": "it is the only candidate that fits" if pick else
        "no deployable candidate reaches the quality floor",
        "missed_floor": None if pick else "min_quality", "least_bad": least, "notes": [],
        "evidence": [], "serve_command": None,
    }  # fmt: skip


def recommend(store: Path, *requests: dict[str, Any]) -> Done:
    return artefact(store, "recommend", {"recommendation.json": json.dumps({"requests": requests})})


def bundle(store: Path, device: str, recommendation: Done, name: str) -> Done:
    given = {"recommendation": recommendation.as_input(name)}
    return artefact(store, "export", {"model.gguf": device}, config={"device": device},
                    inputs=given)  # fmt: skip


@pytest.fixture
def two(tmp_path: Path) -> dict[str, Done]:
    """Unfit for Hindi with Kannada; for Hindi alone one device has a fit."""
    both = recommend(tmp_path, *(request(d, ["hi", "kn"], None) for d in ("here", "board")))
    hindi = recommend(tmp_path, request("here", ["hi"], "small"), request("board", ["hi"], None))
    return {"recommendation": both, "recommendation-hindi": hindi}


def test_a_bundle_is_recommended_only_where_its_own_recommendation_is_fit(
    two: dict[str, Done], tmp_path: Path
) -> None:
    hindi = two["recommendation-hindi"]
    fit = bundle(tmp_path, "here", hindi, "recommendation-hindi")
    unfit = bundle(tmp_path, "board", hindi, "recommendation-hindi")
    other = bundle(tmp_path, "here", two["recommendation"], "recommendation")
    html = str(take_away(nodes_of(**two, fit=fit, unfit=unfit, other=other), CONFIG))
    told = {row.split("nodes/")[1].split("/")[0]: row for row in html.split("<tr>")[2:]}
    assert "recommended for here (Hindi)" in told["fit"]
    assert "least bad, unfit for board (Hindi)" in told["unfit"]
    assert "least bad, unfit for here (Hindi and Kannada)" in told["other"]
    assert html.count("recommended for") == 1
    assert next(iter(told)) == "fit"


def test_two_recommendations_are_told_by_set_of_languages(two: dict[str, Done]) -> None:
    nodes = nodes_of(**two)
    lead = str(summary(nodes, CONFIG))
    lines = re.findall(r"<li>(.*?)</li>", lead)
    assert [re.sub("<[^>]+>", "", line).split(". ")[0] for line in lines] == [
        "Hindi and Kannada", "Hindi",
    ]  # fmt: skip
    assert "Here and board: " in lines[0] and "small" in lines[1]
    cards = str(recommendations(nodes))
    first, second = cards.split("<h3>For Hindi</h3>")
    assert "<h3>For Hindi and Kannada</h3>" in first
    assert (first.count("<article"), second.count("<article")) == (2, 2)


def test_one_recommendation_has_no_headings_of_languages(two: dict[str, Done]) -> None:
    nodes = nodes_of(recommendation=two["recommendation"])
    assert "<h3>For" not in str(recommendations(nodes))
    lead = str(summary(nodes, CONFIG))
    assert "<li>" not in lead and "in Hindi and Kannada: " in lead


def test_no_name_of_a_setting_stands_in_the_lead(two: dict[str, Done]) -> None:
    lead = str(summary(nodes_of(**two), CONFIG))
    assert "min_quality" not in lead and "the quality floor" in lead


@pytest.mark.parametrize(
    ("ends", "p", "bold"),
    [((0.05, 0.15), 0.01, True), ((0.05, 0.15), 0.2, False), ((-0.05, 0.25), 0.01, False),
     ((0.05, 0.15), None, False)],
)  # fmt: skip
def test_a_change_is_bold_by_interval_and_sign_flip_together(
    ends: tuple[float, float], p: float | None, bold: bool, tmp_path: Path
) -> None:
    html = str(behaviour(students(tmp_path, ends, p)))
    assert ('class="change sure"' in html) == bold
    assert "2 comparisons, not corrected" in html


def students(store: Path, ends: tuple[float, float], p: float | None) -> list[Node]:
    before = artefact(store, "probe", {}, measurements=[figure("accuracy", 0.4, subject="base")])
    change = figure("accuracy_change", 0.1, ci_low=ends[0], ci_high=ends[1],
                    conditions={"p_sign_flip": p})  # fmt: skip
    after = [figure("accuracy", 0.5), change, figure("choice_accuracy", 0.6),
             figure("choice_accuracy_change", 0.0), figure("pmi_margin", 0.2)]  # fmt: skip
    tuned = artefact(
        store, "probe", {}, measurements=after, inputs={"before": before.as_input("before")}
    )
    return nodes_of(before=before, tuned=tuned)


def test_margins_stand_beside_the_choice_accuracy_and_say_why(tmp_path: Path) -> None:
    html = str(behaviour(students(tmp_path, (0.05, 0.15), 0.01)))
    assert "right choice, share" in html and "sharper or damaged models" in html


def test_a_change_says_from_what_it_is_counted(tmp_path: Path) -> None:
    html = str(all_measurements(students(tmp_path, (0.05, 0.15), 0.01)))
    rows = [row for row in html.split("<tr>") if "accuracy_change" in row]
    assert len(rows) == 2 and all("from base (before)" in row for row in rows)
    assert html.count("from base (before)") == 2


def test_too_few_for_an_interval_says_how_many(tmp_path: Path) -> None:
    few = figure("heldout_loss_after", 2.0, ci_low=None, ci_high=None, ci_method=TOO_FEW,
                 n_clusters=5)  # fmt: skip
    html = str(losses(nodes_of(gemma=artefact(tmp_path, "train", {}, measurements=[few]))))
    assert "n = 5, too few for an interval" in html
    assert "none below 8" in html


@pytest.mark.parametrize(("stored", "said"), [("Q5_0", True), ("F16", False), ("BF16", False)])
def test_the_reference_is_spoken_of_only_where_the_base_is_rounded(
    stored: str, said: bool, tmp_path: Path
) -> None:
    facts = {"subject": "qwen/q4", "base": {"label": "hf:someone:qwen"}, "tensors": {
        "a": {"stored": stored}, "b": {"stored": "F32"}}}  # fmt: skip
    done = artefact(tmp_path, "compress", {"variant.json": json.dumps(facts)})
    html = str(compression(nodes_of(q4=done)))
    assert ("qwen is stored quantised" in html) == said
    assert ("dequantised weights" in html) == said
    assert "embedded models" not in html


def test_what_stands_on_a_dithered_reference_is_marked_last_and_not_to_be_taken_away(
    tmp_path: Path,
) -> None:
    made = {}
    for name, kind, size in (("d", "dithered", 9), ("f", "dequantised file", 5), ("q", "fp", 3)):
        facts = {"subject": f"m/{name}", "reference": kind, "file_bytes": size, "tensors": {}}
        files = {"variant.json": json.dumps(facts), "model.gguf": name * size}
        made[name] = artefact(tmp_path, "qat" if name == "q" else "compress", files)
    nodes = nodes_of(**made)
    body = (
        str(compression(nodes))
        .split('class="variants"')[1]
        .split("<tbody>")[1]
        .split("</tbody>")[0]
        .split("</tr>")
    )
    assert ["dithered" in row for row in body if "<b>" in row] == [False, False, True]
    taken = str(take_away(nodes, ReportConfig()))
    assert "nodes/f/model.gguf" in taken and "nodes/q/model.gguf" in taken
    assert "nodes/d/" not in taken


@pytest.mark.parametrize(
    ("teacher", "weak"), [("embedded:gemma-3-270m", True), ("openai:http://x/v1#big-72b", False)]
)
def test_only_an_embedded_teacher_is_called_weak(teacher: str, weak: bool, tmp_path: Path) -> None:
    html = str(distillation(nodes_of(d=artefact(tmp_path, "distill", {},
                                                config={"teacher": teacher}))))  # fmt: skip
    assert ("small teacher is weak" in html) == weak
    assert "not meaning" in html


def test_the_frontier_says_what_counts_as_the_worst(study: dict[str, Input]) -> None:
    html = str(frontier(read_nodes(study)))
    assert (
        "A language that compression damaged, or that was not measured, counts as the worst "
        "possible." in html
    )


def test_nats_are_folded_away(study: dict[str, Input]) -> None:
    nodes = read_nodes(study)
    for part in (str(frontier(nodes)), str(recommendations(nodes)), str(verdict(nodes)),
                 str(compression(nodes))):  # fmt: skip
        open_text = re.sub(r"<details.*?</details>", "", part, flags=re.S)
        assert "nats/byte" not in open_text and "PMI" not in open_text
    shown = re.sub(r"<details.*?</details>", "", str(frontier(nodes)), flags=re.S)
    assert re.search(r"\d+ of \d+ right", shown)
    assert "nats/byte" in str(frontier(nodes))


def test_what_compression_changed_is_said_in_words(study: dict[str, Input]) -> None:
    shown = str(compression(read_nodes(study))).split("<details")[0]
    row = next(part for part in shown.split("<tr>") if "q4_1-g32" in part)
    assert re.sub(r"<[^>]*>", " ", row).split()[-3:] == ["some", "much", "some"]  # hi kn en
    row = next(part for part in shown.split("<tr>") if "/q8_0-g32" in part)
    assert re.sub(r"<[^>]*>", " ", row).split()[-3:] == ["hardly"] * 3


def test_the_damaged_are_grey_where_divergence_is_drawn(study: dict[str, Input]) -> None:
    figures = str(compression(read_nodes(study))).split("<figure>")[1:]
    grey = {
        lang: len(re.findall(r'class="point \w+ damaged"', figure))
        for lang, figure in zip(("hi", "kn", "en"), figures, strict=True)
    }
    assert grey == {"hi": 3, "kn": 4, "en": 1}


def test_the_frontiers_remarks_name_candidates_by_their_numbers(study: dict[str, Input]) -> None:
    html = str(frontier(read_nodes(study)))
    remarks = html.split('class="warnings"')[1].split("<li>")[1:]
    assert remarks and all(re.match(r'<b class="no">\d+</b>', remark) for remark in remarks)


def test_evidence_holds_the_choice_accuracy_and_intervals(study: dict[str, Input]) -> None:
    html = str(recommendations(read_nodes(study)))
    assert "Right choice, Hindi" in html and "sharper or damaged models" in html
    decoding = html.split("<dt>Decoding</dt>")[1].split("</dd>")[0]
    assert 'class="ci"' in decoding


def test_a_searched_variant_is_not_described_by_one_grid() -> None:
    facts = {"method": "gptq", "format": "mixed", "bits": 4.37, "group": "mixed"}
    said = _how(facts | {"symmetric": None, "formats": ["a=q4_0"] * 16, "embedding": "q8_0"})
    assert "formats chosen matrix by matrix, codes of 4.37 bits in the mean" in said
    assert "symmetric" not in said and "groups of" not in said and "q8_0" in said


def test_how_much_of_its_adapter_a_file_applies_is_said_under_the_candidates_number(
    tmp_path: Path,
) -> None:
    made = {}
    for name, size, gain in (("a", 9, {"all": 0.1}), ("b", 5, {"all": 9.4}), ("c", 3, None)):
        facts = {"subject": f"m/{name}", "file_bytes": size, "tensors": {}, "adapter_gain": gain}
        made[name] = artefact(tmp_path, "compress", {"variant.json": json.dumps(facts)})
    told = str(compression(nodes_of(**made))).split('class="warnings"')[1].split("<li>")[1:]
    assert len(told) == 2
    assert ">1</b>" in told[0] and "10% of what the adapter changed" in told[0]
    assert ">2</b>" in told[1] and "multiplied" in told[1] and "gptq" in told[1]
