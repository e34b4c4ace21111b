"""A GGUF file's metadata as a transformers configuration, and the other way round."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import GgufFile
from seemant.models.names import FAMILIES, USE_A_FAMILY, Family, is_placed

# GGUF's `general.architecture` and transformers' `model_type`.
MODEL_TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}

GEMMA_LOCAL_ROPE = 10_000.0  # of the sliding layers; llama.cpp has it as a constant, too
GEMMA_PATTERN = 6  # every sixth layer attends to everything


def config_of_metadata(
    metadata: Mapping[str, Any], *, n_tokens: int, tied: bool, where: str = ""
) -> dict[str, Any]:
    """Return the `config.json` that describes a GGUF file's model.

    n_tokens: rows of the embedding. tied: whether the file has no output head of its own.

    Raises:
        BadFile: an architecture that is not read here, or a missing number.
    """
    arch = family_of_metadata(metadata).name

    def need(key: str) -> Any:
        if (value := metadata.get(f"{arch}.{key}")) is None:
            raise BadFile(
                f"the file's metadata lacks {arch}.{key}",
                where=where or None,
                fix="convert the model again with a current llama.cpp",
            )
        return value

    heads, width = int(need("attention.head_count")), int(need("embedding_length"))
    config: dict[str, Any] = {
        "model_type": MODEL_TYPES[arch],
        "architectures": [ARCHITECTURES[arch]],
        "vocab_size": n_tokens,
        "hidden_size": width,
        "intermediate_size": int(need("feed_forward_length")),
        "num_hidden_layers": int(need("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(metadata.get(f"{arch}.attention.head_count_kv", heads)),
        "max_position_embeddings": int(need("context_length")),
        "rms_norm_eps": float(need("attention.layer_norm_rms_epsilon")),
        "tie_word_embeddings": tied,
        "dtype": "float32",
        "use_cache": True,
    }
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        token = metadata.get(f"tokenizer.ggml.{key}_token_id")
        config[f"{name}_token_id"] = None if token is None else int(token)
    head = int(metadata.get(f"{arch}.attention.key_length", width // heads))
    if arch != "qwen2":  # Qwen2's heads always share the width out evenly
        config["head_dim"] = head
    theta = float(metadata.get(f"{arch}.rope.freq_base", 10_000.0))
    rope = _scaled(arch, metadata, {"rope_type": "default", "rope_theta": theta})
    if arch == "gemma3":
        config |= _gemma(metadata, config["num_hidden_layers"], rope, head)
    else:
        config |= {"hidden_act": "silu", "rope_parameters": rope}
    return config


def family_of_file(file: GgufFile) -> Family:
    """Return a GGUF file's family.

    Raises:
        BadFile: an architecture that is not read here; names tensors that have no place here.
    """
    arch = file.metadata.get("general.architecture")
    if arch in FAMILIES:
        return family_of_metadata(file.metadata)
    strange = [name for name in file.tensors if not is_placed(name)]
    if strange:
        shown = ", ".join(strange[:3]) + (", ..." if len(strange) > 3 else "")
        why = f"{len(strange)} of its {len(file.tensors)} tensors cannot be placed: {shown}"
    else:
        why = f"its {len(file.tensors)} tensors have known names, which may mean something else"
    raise BadFile(
        f"models of the architecture {arch!r} are not read here ({why})",
        where=str(file.path),
        fix=USE_A_FAMILY,
    )


def family_of_metadata(metadata: Mapping[str, Any]) -> Family:
    """Return a GGUF file's family.

    Raises:
        BadFile: an architecture that is not read here.
    """
    arch = str(metadata.get("general.architecture"))
    heads = int(metadata.get(f"{arch}.attention.head_count", 1))
    return Family(arch, heads, int(metadata.get(f"{arch}.attention.head_count_kv", heads)))


def family_of_config(config: Mapping[str, Any]) -> Family:
    """Return the family of a transformers configuration.

    Raises:
        BadFile: a model type that is not read here.
    """
    names = {model_type: name for name, model_type in MODEL_TYPES.items()}
    model_type = str(config.get("model_type"))
    if model_type not in names:
        raise BadFile(
            f"models of the type {model_type!r} are not read here",
            where="config.json: model_type",
            fix=USE_A_FAMILY,
        )
    heads = int(config["num_attention_heads"])
    return Family(names[model_type], heads, int(config.get("num_key_value_heads") or heads))


ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}


def _gemma(
    metadata: Mapping[str, Any], n_layers: int, rope: dict[str, Any], head: int
) -> dict[str, Any]:
    full = [(layer + 1) % GEMMA_PATTERN == 0 for layer in range(n_layers)]
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "sliding_window": int(metadata.get("gemma3.attention.sliding_window", 512)),
        "query_pre_attn_scalar": head,  # scores are divided by sqrt(head), as in llama.cpp
        "layer_types": ["full_attention" if each else "sliding_attention" for each in full],
        "rope_parameters": {
            "full_attention": rope,
            "sliding_attention": {"rope_type": "default", "rope_theta": GEMMA_LOCAL_ROPE},
        },
    }


def _scaled(arch: str, metadata: Mapping[str, Any], rope: dict[str, Any]) -> dict[str, Any]:
    kind = metadata.get(f"{arch}.rope.scaling.type", "none")
    if kind == "linear":
        factor = float(metadata[f"{arch}.rope.scaling.factor"])
        return rope | {"rope_type": "linear", "factor": factor}
    if kind != "none":
        raise BadFile(
            f"rope scaling of the type {kind!r} is not read here",
            where=f"{arch}.rope.scaling.type",
            fix="use a file without it, or the model's HF folder",
        )
    return rope
