"""The families' tables against transformers' own classes."""

from typing import Any

import pytest

from seemant.core.errors import BadFile
from seemant.models.families.registry import TABLES, completed, table_of_config


@pytest.mark.parametrize("arch", TABLES)
def test_defaults_are_those_of_transformers(arch: str) -> None:
    from transformers import AutoConfig

    table = TABLES[arch]
    theirs = AutoConfig.for_model(table.model_type).to_dict()
    assert {key: theirs[key] for key in table.defaults if key != "sliding_window"} == {
        key: value for key, value in table.defaults.items() if key != "sliding_window"
    }
    heads = table.defaults.get("num_key_value_heads", table.defaults["num_attention_heads"])
    assert theirs["num_key_value_heads"] == heads
    rope = theirs["rope_parameters"]
    assert rope.get("full_attention", rope)["rope_theta"] == table.theta


@pytest.mark.parametrize("arch", TABLES)
def test_the_class_is_transformers_own(arch: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    table = TABLES[arch]
    kind = AutoModelForCausalLM._model_mapping[type(AutoConfig.for_model(table.model_type))]
    assert kind.__name__ == table.model_class


def test_what_a_configuration_says_goes_before_a_default() -> None:
    assert completed({"model_type": "gemma3_text", "sliding_window": 512})["sliding_window"] == 512
    assert completed({"model_type": "gemma3_text"})["num_key_value_heads"] == 4


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"model_type": "qwen3_moe", "num_experts": 128}, "layers of experts"),
        ({"model_type": "deepseek_v3", "n_routed_experts": 256}, "layers of experts"),
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0}, "soft-capped attention"),
        ({"model_type": "qwen2_5_vl", "vision_config": {"depth": 3}}, "images"),
        ({"model_type": "mamba", "state_size": 16}, "state-space"),
        ({"model_type": "gpt2", "layer_norm_epsilon": 1e-5}, "LayerNorm"),
        ({"model_type": "something_new"}, "its block"),
        ({}, "None"),
    ],
)
def test_another_type_is_refused_with_the_part_that_is_missing(
    config: dict[str, Any], part: str
) -> None:
    with pytest.raises(BadFile, match=part) as caught:
        table_of_config(config)
    assert "qwen2" in str(caught.value.fix)
