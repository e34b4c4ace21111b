"""The shape of a model that is made here, in the words of a `config.json`."""

from typing import Any

from seemant.models.families.registry import TABLES
from seemant.models.tokenizer import Tokenizer
from seemant.train.pretrain.config import PretrainConfig

ROPE_THETA = 10_000.0
NORM_EPSILON = 1e-5


def hf_config(config: PretrainConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the `config.json` of the model; llama.cpp's metadata is derived from it too."""
    return {
        "model_type": config.family,
        "architectures": [TABLES[config.family].model_class],
        "vocab_size": tokenizer.n_tokens,
        "hidden_size": config.d,
        "intermediate_size": config.ff,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "rms_norm_eps": NORM_EPSILON,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "tie_word_embeddings": config.tied,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": tokenizer.eos_id,
        "pad_token_id": None,
        "dtype": "float32",
        "use_cache": True,
    }
