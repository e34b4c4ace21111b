"""Phi-3, 3.5 and Phi-4 mini: q, k and v in one matrix, gate and up in another; LongRoPE."""

from collections.abc import Mapping
from typing import Any

from seemant.models.families.family import Layer, Table


def one_window(config: Mapping[str, Any]) -> list[Layer]:
    """Return the layers: all with one window, where the configuration has one.

    llama.cpp passes over it: the two differ on texts that are longer than the window.
    """
    window = config.get("sliding_window")
    return [Layer(int(window) if window else None)] * int(config["num_hidden_layers"])


TABLE = Table(
    arch="phi3",
    model_type="phi3",
    model_class="Phi3ForCausalLM",
    defaults={
        "vocab_size": 32_064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "eos_token_id": 32_000,
        "bos_token_id": 1,
        "pad_token_id": 32_000,
    },
    block={
        "attn_norm": "input_layernorm",
        "attn_qkv": "self_attn.qkv_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_up": "mlp.gate_up_proj",
        "ffn_down": "mlp.down_proj",
    },
    fused=True,
    layers=one_window,
    rotations=frozenset({"default", "longrope"}),
    part_rotated=True,
)
