"""Qwen2 (also Qwen2.5) and Qwen3."""

from collections.abc import Mapping
from typing import Any

from seemant.models.families.family import PLAIN_BLOCK, SLIDING, Layer, Table, kinds_of_layers
from seemant.models.families.llama import ATTENTION

_DEFAULTS = {
    "vocab_size": 151_936,
    "hidden_size": 4096,
    "intermediate_size": 22_016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
}


def windowed_layers(config: Mapping[str, Any]) -> list[Layer]:
    """Return the layers: from `max_window_layers` on in a window, where windows are used at all."""
    window, n = config.get("sliding_window"), int(config["num_hidden_layers"])
    kinds = kinds_of_layers(config)
    if not config.get("use_sliding_window") or window is None:
        return [Layer()] * n
    first = int(config["max_window_layers"])
    inside = [each == SLIDING for each in kinds] if kinds else [i >= first for i in range(n)]
    return [Layer(int(window) if each else None) for each in inside]


QWEN2 = Table(
    arch="qwen2",
    model_type="qwen2",
    model_class="Qwen2ForCausalLM",
    defaults=_DEFAULTS,
    biases=frozenset({"q_proj", "k_proj", "v_proj"}),
    gguf_biases=frozenset({"q_proj", "k_proj", "v_proj"}),
    layers=windowed_layers,
)
QWEN3 = Table(
    arch="qwen3",
    model_type="qwen3",
    model_class="Qwen3ForCausalLM",
    defaults={**_DEFAULTS, "head_dim": 128},
    block={
        **PLAIN_BLOCK,
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
    },
    qk_norm=True,
    may_have=ATTENTION,
    layers=windowed_layers,
)
