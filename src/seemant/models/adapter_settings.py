"""What a PEFT adapter's `adapter_config.json` says, read as PEFT reads it or refused by name.

A LoRA's change is s B A only where nothing else was trained and the base was left as it was. A
setting that says otherwise, or that nobody here has heard of, is refused: the tensors alone look
like any other adapter's.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json

CONFIG_NAME = "adapter_config.json"

_READ = {
    "peft_type",
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "init_lora_weights",
}
_OF_TRAINING = {  # where, how or with what it was trained: the tensors show the outcome
    "task_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "lora_dropout",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
}
_REFUSED = {
    "use_dora": "DoRA (merge it into a full model first)",
    "modules_to_save": "whole trained modules",
    "fan_in_fan_out": "transposed weights",
    "lora_bias": "trained biases",
    "layer_replication": "layers of the base used several times",
    "target_parameters": "parameters that are no linear layers",
    "trainable_token_indices": "trained rows of the embedding",
    "alora_invocation_tokens": "activation by tokens (aLoRA): it is no change of the weights",
    "use_qalora": "pooled inputs (QALoRA)",
}
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")  # the base stays as it was
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def read_settings(folder: Path) -> dict[str, Any]:
    """Return an adapter's settings.

    Raises:
        BadFile: not JSON, or a setting that changes what the tensors mean; names it.
    """
    path = folder / CONFIG_NAME
    config = read_json(path)
    if not isinstance(config, dict):
        raise BadFile("not a JSON object", where=str(path), fix="train again")
    for what in _foreign(config):
        raise BadFile(f"the adapter uses {what}", where=str(path), fix="use a plain LoRA")
    start = config.get("init_lora_weights")
    if start in _PLAIN_STARTS:
        return config
    if isinstance(start, str) and start.lower().startswith(_CHANGED_BASE):
        raise BadFile(
            f"init_lora_weights is {start!r}: it was trained on changed base weights, and on the "
            "original ones its tensors mean another model",
            where=str(path),
            fix="save it with PEFT's path_initial_model_for_weight_conversion, or merge it by PEFT",
        )
    raise BadFile(
        f"init_lora_weights is {start!r}, which is not known here",
        where=str(path),
        fix="merge it into a full model by PEFT",
    )


def scale_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """Return s, by which B A counts in a module: alpha / r, or alpha / sqrt(r) for rsLoRA.

    Raises:
        BadFile: the tensors have another rank than the settings say.
    """
    said = int(_own(config, "rank_pattern", module, config.get("r", rank)))
    if said != rank:
        raise BadFile(
            f"{module} has a rank of {rank}, and {CONFIG_NAME} says {said}",
            fix="take settings and tensors of one adapter",
        )
    alpha = float(_own(config, "alpha_pattern", module, config.get("lora_alpha", rank)))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _own(config: Mapping[str, Any], pattern: str, module: str, default: Any) -> Any:
    """Return what a pattern gives a module of its own: the first that matches, as in PEFT."""
    for name, value in (config.get(pattern) or {}).items():
        if re.match(rf"(.*\.)?({name})$", module):
            return value
    return default


def _foreign(config: Mapping[str, Any]) -> list[str]:
    """Return what a setting says that no s B A can be, in words."""
    found = []
    if config.get("peft_type", "LORA") != "LORA":
        found.append(f"a PEFT method other than LoRA ({config['peft_type']})")
    if config.get("bias", "none") != "none":
        found.append("trained biases")
    for key, value in config.items():
        if not value or key in _READ or key in _OF_TRAINING or key == "bias":
            continue
        found.append(f"{_REFUSED.get(key, 'a setting that is not known here')} ({key})")
    return found
