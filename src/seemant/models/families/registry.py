"""The families by name, and what to say of a model of none of them."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import BadFile
from seemant.models.families import gemma3, llama, phi3, qwen, smollm3
from seemant.models.families.family import Table

TABLES: Mapping[str, Table] = {
    table.arch: table
    for table in (
        llama.TABLE,
        qwen.QWEN2,
        qwen.QWEN3,
        gemma3.TABLE,
        smollm3.TABLE,
        phi3.TABLE,
    )
}
USE_A_FAMILY = f"use a model of one of the families {', '.join(TABLES)} (text models)"

# What a setting says of a block that has no table here, the first that is there counts.
_PARTS = {
    "num_experts": "layers of experts",
    "num_local_experts": "layers of experts",
    "n_routed_experts": "layers of experts",
    "kv_lora_rank": "attention over compressed keys (MLA)",
    "linear_num_value_heads": "linear attention",
    "state_size": "a state-space layer",
    "mamba_d_state": "a state-space layer",
    "conv_L_cache": "a convolution in place of attention",
    "attn_logit_softcapping": "soft-capped attention",
    "altup_num_inputs": "alternating updates (AltUp)",
    "layer_norm_eps": "LayerNorm with biases",
    "layer_norm_epsilon": "LayerNorm with biases",
    "d_model": "an encoder or another block",
    "text_config": "a text model inside a model of images or sound",
    "vision_config": "a model of images",
    "embedding_multiplier": "scaled residuals",
}


def table_of_config(config: Mapping[str, Any]) -> Table:
    """Return the table of a transformers configuration's family.

    Raises:
        BadFile: a model type that is not read here; names the part that is missing.
    """
    model_type = str(config.get("model_type"))
    for table in TABLES.values():
        if table.model_type == model_type:
            return table
    part = next((what for key, what in _PARTS.items() if config.get(key)), "its block")
    raise BadFile(
        f"models of the type {model_type!r} are not read here (the missing part: {part})",
        where="config.json: model_type",
        fix=USE_A_FAMILY,
    )


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with what transformers takes for the settings that it leaves out.

    Raises:
        BadFile: a model type that is not read here.
    """
    return {**table_of_config(config).defaults, **config}
