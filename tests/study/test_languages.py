"""A study's languages are one parameter: what has none of them left falls away, nothing else."""

import pytest

from seemant.core.errors import BadConfig
from seemant.study.graph import needs
from seemant.study.languages import listed
from seemant.study.spec import load_study

PRESETS = ("quick", "compression", "compression-smoke", "compression-gpu")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("languages", ["hi", "[hi]", "Hindi", "kn", "en", "hi,kn", "[kn, en]"])
def test_no_node_of_a_preset_asks_for_another_language(name: str, languages: str) -> None:
    study = load_study(name, [f"languages={languages}"])
    asked = set(study.params["languages"])  # type: ignore[arg-type]
    for node in study.nodes.values():
        own = getattr(node.config, "languages", None) or getattr(node.config, "lang", ())
        assert set(own or ()) <= asked, node.name
        assert not set(needs(study, node.name)) - set(study.nodes)
        assert not set(node.inputs.values()) & set(study.left_out), node.name
    assert {"report", "frontier"} <= set(study.nodes)


@pytest.mark.parametrize("name", PRESETS)
def test_with_every_language_nothing_is_left_out(name: str) -> None:
    assert load_study(name).left_out == {}


def test_kannada_alone_leaves_out_the_student_that_does_not_carry_it() -> None:
    study = load_study("quick", ["languages=kn"])
    assert {"smollm", "smollm-before", "smollm-after"} <= set(study.left_out)
    assert study.left_out["smollm-after"] == "it needs smollm"
    assert {"gemma", "bundle", "recommendation-first"} <= set(study.nodes)
    names = {role.partition("/")[2] for role in study.nodes["speed"].inputs}
    assert "smollm-lora" not in names, "a student that is not made is not timed"
    assert study.nodes["recommendation-first"].config.model_dump()["lang"] == ("kn",)
    assert study.title.startswith("Kannada on")


def test_english_alone_is_taught() -> None:
    study = load_study("quick", ["languages=en"])
    assert study.nodes["pairs"].config.model_dump()["languages"] == ("en",)
    assert "gemma" in study.nodes


def test_a_node_s_own_set_is_taken_as_it_is_said() -> None:
    study = load_study("quick", ["languages=hi", "runtime-price.languages=[en]"])
    assert study.nodes["runtime-price"].config.model_dump()["languages"] == ("en",)


@pytest.mark.parametrize("value", [[], None, "", "mr", ["hi", "ta"], 7])
def test_what_is_no_list_of_carried_languages_is_refused(value: object) -> None:
    with pytest.raises(BadConfig) as refused:
        listed("languages", value)
    assert refused.value.where == "--set languages"
    assert refused.value.fix


def test_costs_of_another_model_are_unknown_and_those_without_it_are_known() -> None:
    study = load_study("quick", ["model=path:my-model"])
    unknown = {name for name, node in study.nodes.items() if not node.costs_known}
    assert {"gemma-before", "gemma", "q8", "q8-probe"} <= unknown
    assert not unknown & {"paragraphs", "pairs", "smollm-before", "smollm", "report"}
    assert all(node.costs_known for node in load_study("quick").nodes.values())
