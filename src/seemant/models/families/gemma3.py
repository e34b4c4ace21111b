"""Gemma 3, text: five layers in a window, then one that sees everything."""

from collections.abc import Mapping
from typing import Any

from seemant.models.families.family import (
    FULL,
    PLAIN_BLOCK,
    SLIDING,
    Layer,
    Table,
    kinds_of_layers,
    unread,
)
from seemant.models.families.llama import ATTENTION

LOCAL_ROPE = 10_000.0  # of the sliding layers; llama.cpp has it as a constant, too
PATTERN = 6  # every sixth layer attends to everything


def alternating_layers(config: Mapping[str, Any]) -> list[Layer]:
    """Return the layers: each with the window and the rotation of its kind.

    Raises:
        BadFile: attention that is not causal, or an unknown kind of layer.
    """
    if config.get("use_bidirectional_attention"):
        raise unread("use_bidirectional_attention", True, "causal decoders only")
    every = int(config.get("sliding_window_pattern") or PATTERN)
    n, window = int(config["num_hidden_layers"]), config.get("sliding_window")
    kinds = kinds_of_layers(config)
    kinds = kinds or [SLIDING if (layer + 1) % every else FULL for layer in range(n)]
    return [Layer(int(window) if kind == SLIDING and window else None, kind) for kind in kinds]


TABLE = Table(
    arch="gemma3",
    model_type="gemma3_text",
    model_class="Gemma3ForCausalLM",
    defaults={
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "pad_token_id": 0,
    },
    theta=1_000_000.0,
    # Four norms a block, and its names for them differ.
    block={
        **PLAIN_BLOCK,
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
    gemma_norms=True,
    qk_norm=True,
    may_have=ATTENTION,
    layers=alternating_layers,
)
