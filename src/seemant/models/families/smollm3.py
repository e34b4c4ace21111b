"""SmolLM3: a Llama in which every fourth layer has no rotation at all (NoPE)."""

from collections.abc import Mapping
from typing import Any

from seemant.models.families.family import FULL, SLIDING, Layer, Table, kinds_of_layers, unread
from seemant.models.families.llama import ATTENTION, MLP

PATTERN = 4  # llama.cpp has it as a constant: layers 3, 7, 11, ... are not rotated


def some_not_rotated(config: Mapping[str, Any]) -> list[Layer]:
    """Return the layers: `no_rope_layers` has a 1 for each that is rotated.

    Raises:
        BadFile: fewer numbers than layers, or an unknown kind of layer.
    """
    n, every = int(config["num_hidden_layers"]), int(config["no_rope_layer_interval"])
    given = config.get("no_rope_layers")
    turned = [(i + 1) % every != 0 for i in range(n)] if given is None else list(map(bool, given))
    if len(turned) < n:
        raise unread("no_rope_layers", given, f"{n} of 0 and 1")
    window = config.get("sliding_window") if config.get("use_sliding_window") else None
    kinds = kinds_of_layers(config)
    kinds = kinds or [FULL if each or window is None else SLIDING for each in turned]
    return [
        Layer(int(window) if window and kinds[i] == SLIDING else None, FULL if turned[i] else None)
        for i in range(n)
    ]


TABLE = Table(
    arch="smollm3",
    model_type="smollm3",
    model_class="SmolLM3ForCausalLM",
    defaults={
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 11_008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "hidden_act": "silu",
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "no_rope_layer_interval": 4,
        "eos_token_id": 128_001,
        "bos_token_id": 128_000,
        "pad_token_id": 128_004,
    },
    theta=2_000_000.0,
    interleaved=True,
    may_have=ATTENTION | MLP,
    layers=some_not_rotated,
)
