"""The presets of the compress room: whole graphs, references apart, every method there."""

from typing import Any

import pytest

from seemant.compress.methods.registry import METHODS
from seemant.study.graph import needs, order
from seemant.study.spec import Study, load_study

PRESETS = ("compression", "compression-smoke", "compression-gpu")


def configs(study: Study, stage: str) -> dict[str, dict[str, Any]]:
    return {n: node.config.model_dump() for n, node in study.nodes.items() if node.stage == stage}


@pytest.mark.parametrize("name", PRESETS)
def test_every_variant_is_compared_with_its_own_reference_and_ranked(name: str) -> None:
    study = load_study(name)
    assert order(study)[-1] == "report"
    frontier = study.nodes["frontier"].inputs
    for variant, node in study.nodes.items():
        if node.stage not in ("compress", "qat"):
            continue
        divergence = study.nodes[f"{variant}-kld"].inputs
        assert divergence["variant"] == variant
        assert divergence["model"] == node.inputs["model"], "compared with what it was made from"
        assert frontier[f"variant/{variant}"] == variant
        assert frontier[f"divergence/{variant}"] == f"{variant}-kld"
        if f"probe/{variant}" in frontier:
            assert study.nodes[f"{variant}-probe"].inputs["model"] == variant


@pytest.mark.parametrize("name", PRESETS)
def test_no_two_variants_of_a_model_have_one_name(name: str) -> None:
    study = load_study(name)
    names = [
        (node.inputs["model"], node.config.variant_name)  # type: ignore[attr-defined]
        for node in study.nodes.values()
        if node.stage == "compress"
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_dithered_is_exported_or_timed(name: str) -> None:
    study = load_study(name)
    dithered = {n for n, node in study.nodes.items() if node.stage == "dither"}
    made = {n for n, node in study.nodes.items() if node.inputs.get("model") in dithered}
    for node in study.nodes.values():
        if node.stage in ("bench", "export"):
            assert not made & set(node.inputs.values())


@pytest.mark.parametrize("name", PRESETS)
def test_expected_costs_say_whether_they_were_measured(name: str) -> None:
    study = load_study(name)
    assert ("GUESSED" in study.expected_on) == (name != "compression")
    assert all(node.expect.seconds > 0 for node in study.nodes.values())


def test_the_compression_preset_holds_every_method_once() -> None:
    study = load_study("compression")
    made = configs(study, "compress")
    assert {each["method"] for each in made.values()} == set(METHODS)
    wanted: dict[str, set[Any]] = {
        "order": {"act", "natural"},
        "prepare": {"awq"},
        "fit": {"mse", "hqq"},
        "bits": {8, 5, 4, 3},
        "group": {None},
        "symmetric": {False},
        "embedding_bits": {4, 5},
        "embedding_method": {"gptq", "rtn"},
        "format": {"q3_k"},
        "sparsity": {"2:4"},
        "search": {True},
        "languages": {("en",)},
    }
    for key, values in wanted.items():
        assert values <= {each[key] for each in made.values()}, key
    stages = {node.stage for node in study.nodes.values()}
    assert {"dither", "pretrain", "qat", "attribution", "bench", "recommend"} <= stages


def test_a_larger_text_and_qat_of_the_model_are_parameters() -> None:
    study = load_study(
        "compression", ["calibration=my.txt", "qat_model=dithered", "qat_variant=gptq4"]
    )
    assert study.nodes["gptq4"].inputs["calibration"] == "my.txt"
    assert needs(study, "qat4")[:2] == ["dithered", "gptq4"]
    assert study.nodes["qat4-kld"].inputs["model"] == "dithered"


def test_the_quick_study_holds_what_its_report_speaks_of() -> None:
    """Before and after tuning, what one would ship beside 4 bits to nearest, each measured."""
    study = load_study("quick")
    variants = configs(study, "compress")
    assert {"q8", "q4", "gptq4", "mix", "q8-embedding4"} == set(variants)
    assert variants["gptq4"]["method"] == "gptq" and variants["q4"]["method"] == "rtn"
    assert variants["mix"]["search"] and variants["mix"]["budget"]
    frontier, lost = study.nodes["frontier"].inputs, study.nodes["lost"].inputs
    speed, bundle = study.nodes["speed"].inputs, study.nodes["bundle"].inputs
    for name in variants:
        assert study.nodes[name].inputs["adapter"] == "gemma"
        assert study.nodes[f"{name}-divergence"].inputs["variant"] == name
        assert frontier[f"variant/{name}"] == name
        assert frontier[f"divergence/{name}"] == f"{name}-divergence"
        if name == "q8-embedding4":  # shows languages apart; nobody would ship it
            continue
        assert study.nodes[f"{name}-probe"].inputs["model"] == name
        assert frontier[f"probe/{name}"] == lost[f"probe/{name}"] == f"{name}-probe"
        assert {frontier[f"variant/{name}"], lost[f"variant/{name}"]} == {name}
        assert speed[f"variant/{name}"] == bundle[f"variant/{name}"] == name
    for base in ("gemma", "smollm"):
        assert {f"probe/{base}-before", f"probe/{base}-after"} <= set(frontier)
    assert all(node.expect.seconds > 0 for node in study.nodes.values())
    assert study.expected_pace is not None
