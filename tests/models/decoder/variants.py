"""Tiny transformers models that take every branch of the families, and ours beside them."""

from typing import Any

import torch
from torch import Tensor

from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import state_weights

_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 1.8, 2.0, 2.5],
    "long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0],
}
_PHI = {"model_type": "phi3", "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
_QWEN_ROPE = {"rope_type": "default", "rope_theta": 1e6}
_QWEN = {"rope_parameters": _QWEN_ROPE}
_GEMMA = {
    "model_type": "gemma3_text",
    "head_dim": 24,  # four heads of it are wider than d
    "query_pre_attn_scalar": 40,
    "sliding_window": 8,
    "num_hidden_layers": 7,
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
}
VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama, one key head, wide heads": {
        "model_type": "llama",
        "num_key_value_heads": 1,
        "head_dim": 32,
    },
    "llama, all heads their own": {"model_type": "llama", "num_key_value_heads": 4},
    "llama, biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama 3 rotation": {"model_type": "llama", "rope_parameters": _LLAMA3},
    "llama, linear rotation": {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
    },
    "llama, untied": {"model_type": "llama", "tie_word_embeddings": False},
    "qwen2": {"model_type": "qwen2", **_QWEN},
    "qwen2, windows": {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 5,
        "max_window_layers": 1,
        **_QWEN,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 24, **_QWEN},
    "qwen3, biases": {"model_type": "qwen3", "head_dim": 16, "attention_bias": True, **_QWEN},
    "smollm3": {"model_type": "smollm3", "num_hidden_layers": 5, "rope_parameters": _QWEN_ROPE},
    "smollm3, windows, other layers still": {
        "model_type": "smollm3",
        "no_rope_layers": [0, 1, 1],
        "use_sliding_window": True,
        "sliding_window": 6,
        "mlp_bias": True,
        "rope_parameters": _QWEN_ROPE,
    },
    "phi3": _PHI,
    "phi3, window": _PHI | {"sliding_window": 7},
    "phi3, long texts": _PHI
    | {"original_max_position_embeddings": 16, "rope_parameters": _LONGROPE},
    "phi3, a part of each head turned": _PHI
    | {
        "original_max_position_embeddings": 64,
        "rope_parameters": _LONGROPE
        | {
            "short_factor": [1.0, 1.2, 1.4, 1.7],
            "long_factor": [1.0, 2.0, 4.0, 9.0],
            "partial_rotary_factor": 0.5,
        },
    },
    "gemma3": _GEMMA,
    "gemma3, soft-caps": _GEMMA
    | {"final_logit_softcapping": 1.5, "attn_logit_softcapping": 2.0, "attention_bias": True},
    "gemma3, one key head, scaled": _GEMMA
    | {
        "num_key_value_heads": 1,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    },
}


def hf_model(name: str, *, seed: int = 0) -> Any:
    """A transformers model of a variant, float32, every parameter random, norms and biases too."""
    from transformers import AutoConfig, AutoModelForCausalLM

    common = {
        "vocab_size": 96,
        "hidden_size": 64,
        "intermediate_size": 112,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-5,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**common | VARIANTS[name]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.float().eval()


def hf_state(model: Any) -> dict[str, Tensor]:
    return {name: each.detach() for name, each in model.state_dict().items()}


def ours(model: Any, **kinds: Any) -> Decoder:
    """Our frozen decoder over a transformers model's weights."""
    shape = shape_of_config(model.config.to_dict())
    settings = {"base": "float", "embedding": "float", "compute": "float32"} | kinds
    return frozen_decoder(state_weights(shape, hf_state(model)), **settings)


def logits(decoder: Decoder, ids: Tensor, lengths: list[int]) -> Tensor:
    """Logits (N, vocab) of our decoder, soft-capped where the model is."""
    head = decoder.head_weight
    weight = head if isinstance(head, Tensor) else head.dequantised(torch.float32)
    out = decoder(ids, lengths).float() @ weight.T
    cap = decoder.shape.softcap
    return out if cap is None else cap * torch.tanh(out / cap)


def some_ids(n: int, *, n_vocab: int = 96, seed: int = 3) -> Tensor:
    return torch.randint(1, n_vocab, (n,), generator=torch.Generator().manual_seed(seed))
