"""Configurations of the old and the new way of writing them, and those that are refused."""

from typing import Any

import pytest

from seemant.core.errors import BadFile
from seemant.models.decoder.shape import Rope, shape_of_config
from tests.models.decoder.variants import VARIANTS, hf_model

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_configuration_written_the_old_way_means_the_same(name: str) -> None:
    config = hf_model(name).config.to_dict()
    new = shape_of_config(config)
    ropes = config.pop("rope_parameters")
    if "full_attention" in ropes:
        config["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
        ropes = ropes["full_attention"]
        config["sliding_window_pattern"] = 6
        del config["layer_types"]
    scaling = {key: value for key, value in ropes.items() if key != "rope_theta"}
    scaling["type"] = scaling.pop("rope_type")
    old = config | {"rope_theta": ropes["rope_theta"], "rope_scaling": scaling}
    assert shape_of_config(old) == new


def test_a_plain_llama_has_transformers_defaults() -> None:
    shape = shape_of_config(LLAMA)
    assert (shape.kv_heads, shape.head_dim, shape.eps, shape.tied) == (4, 16, 1e-6, False)
    assert shape.ropes == (Rope(10_000.0),) * 2 and shape.windows == (None, None)


def test_gemma_alternates_windows_and_rotations() -> None:
    shape = shape_of_config(hf_model("gemma3").config.to_dict())
    assert shape.windows == (8,) * 5 + (None, 8)
    assert [rope.theta for rope in shape.ropes] == [1e4] * 5 + [1e6, 1e4]
    assert shape.embed_scale == 8.0 and shape.query_scale == 40**-0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"hidden_act": "relu"}, "hidden_act = 'relu'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary"),
        ({"model_type": "qwen2", "layer_types": ["full_attention"]}, "layer_types"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "bidirectional"),
    ],
)
def test_what_is_not_read_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        shape_of_config(LLAMA | change)
    assert caught.value.fix


def test_llama_3_scaling_is_read_under_both_names() -> None:
    for key in ("type", "rope_type"):
        scaled = LLAMA | {"rope_theta": 5e5, "rope_scaling": {key: "llama3", **LLAMA3}}
        assert shape_of_config(scaled).ropes[0] == Rope(5e5, "llama3", 8.0, 1.0, 4.0, 8192)
