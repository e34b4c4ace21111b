"""A GGUF file's metadata as a transformers configuration, and the other way round."""

from collections.abc import Mapping
from typing import Any

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import GgufFile
from seemant.models.families.gemma3 import LOCAL_ROPE, PATTERN
from seemant.models.families.registry import TABLES, USE_A_FAMILY, completed, table_of_config
from seemant.models.names import (
    FAMILIES,
    LONG_FACTORS,
    ROPE_FACTORS,
    ROPE_TENSORS,
    SHORT_FACTORS,
    Family,
    is_placed,
)


def config_of_file(file: GgufFile) -> dict[str, Any]:
    """Return the `config.json` that describes a GGUF file's model.

    Raises:
        BadFile: an architecture that is not read here, or a missing number.
    """
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise BadFile("the file has no token_embd.weight", where=str(file.path))
    config = config_of_metadata(
        file.metadata,
        n_tokens=embedding.shape[0],
        tied="output.weight" not in file.tensors,
        where=str(file.path),
        factors={n: _numbers(file, n) for n in ROPE_TENSORS if n in file.tensors},
    )
    return config | _biases(file)


def _biases(file: GgufFile) -> dict[str, bool]:
    """Metadata don't say which biases there are, only the tensors do; no bias is no setting."""
    may_have = TABLES[family_of_file(file).name].may_have
    says = {"attention_bias": ("o_proj", "attn_output"), "mlp_bias": ("up_proj", "ffn_up")}
    return {
        key: True
        for key, (part, name) in says.items()
        if part in may_have and f"blk.0.{name}.bias" in file.tensors
    }


def rope_factors_of(file: GgufFile) -> tuple[float, ...]:
    """Return the factors of a file's `rope_freqs`, which no configuration can say; () for none."""
    return tuple(_numbers(file, ROPE_FACTORS)) if ROPE_FACTORS in file.tensors else ()


def _numbers(file: GgufFile, name: str) -> list[float]:
    return [float(each) for each in file.dequantize(name)]


def config_of_metadata(
    metadata: Mapping[str, Any],
    *,
    n_tokens: int,
    tied: bool,
    where: str = "",
    factors: Mapping[str, list[float]] | None = None,
) -> dict[str, Any]:
    """Return the `config.json` that describes a GGUF file's model, from its metadata.

    n_tokens: rows of the embedding. tied: whether the file has no output head of its own.
    factors: the values of its tensors of LongRoPE's factors, by name.

    Raises:
        BadFile: an architecture that is not read here, or a missing number.
    """
    arch = family_of_metadata(metadata).name
    table = TABLES[arch]

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
        "model_type": table.model_type,
        "architectures": [table.model_class],
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
    rope = _scaled(arch, metadata, {"rope_type": "default", "rope_theta": theta}, where)
    if table.gemma_norms:
        return config | _gemma(metadata, config["num_hidden_layers"], rope, head)
    if table.part_rotated:
        rope = _longrope(arch, metadata, rope, head, factors or {})
        config |= {"original_max_position_embeddings": _trained_length(arch, metadata)}
        config |= {"sliding_window": metadata.get(f"{arch}.attention.sliding_window") or None}
    return config | {"hidden_act": "silu", "rope_parameters": rope}


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
    table = table_of_config(config)
    heads = int(completed(config)["num_attention_heads"])
    return Family(table.arch, heads, int(completed(config).get("num_key_value_heads") or heads))


def _gemma(
    metadata: Mapping[str, Any], n_layers: int, rope: dict[str, Any], head: int
) -> dict[str, Any]:
    full = [(layer + 1) % PATTERN == 0 for layer in range(n_layers)]
    softcap = metadata.get("gemma3.final_logit_softcapping")
    return {
        "final_logit_softcapping": None if softcap is None else float(softcap),
        "hidden_activation": "gelu_pytorch_tanh",
        "sliding_window": int(metadata.get("gemma3.attention.sliding_window", 512)),
        "query_pre_attn_scalar": head,  # scores are divided by sqrt(head), as in llama.cpp
        "layer_types": ["full_attention" if each else "sliding_attention" for each in full],
        "rope_parameters": {
            "full_attention": rope,
            "sliding_attention": {"rope_type": "default", "rope_theta": LOCAL_ROPE},
        },
    }


def _scaled(
    arch: str, metadata: Mapping[str, Any], rope: dict[str, Any], where: str
) -> dict[str, Any]:
    kind = metadata.get(f"{arch}.rope.scaling.type", "none")
    factor = metadata.get(f"{arch}.rope.scaling.factor")
    if kind == "linear" and factor is not None:
        return rope | {"rope_type": "linear", "factor": float(factor)}
    if kind == "linear":
        what = "the file says linear rope scaling and no factor"
    elif kind != "none":
        what = f"rope scaling of the type {kind!r} is not read here"
    else:
        return rope
    raise BadFile(
        what,
        where=f"{where}: {arch}.rope.scaling" if where else f"{arch}.rope.scaling",
        fix="use a file without it, or the model's HF folder",
    )


def _trained_length(arch: str, metadata: Mapping[str, Any]) -> int:
    said = metadata.get(f"{arch}.rope.scaling.original_context_length")
    return int(said or metadata[f"{arch}.context_length"])


def _longrope(
    arch: str,
    metadata: Mapping[str, Any],
    rope: dict[str, Any],
    head: int,
    factors: Mapping[str, list[float]],
) -> dict[str, Any]:
    rotated = int(metadata.get(f"{arch}.rope.dimension_count", head))
    rope = rope | {"partial_rotary_factor": rotated / head}
    if not {LONG_FACTORS, SHORT_FACTORS} <= set(factors):
        return rope
    return rope | {
        "rope_type": "longrope",
        "short_factor": factors[SHORT_FACTORS],
        "long_factor": factors[LONG_FACTORS],
        "attention_factor": float(metadata.get(f"{arch}.rope.scaling.attn_factor", 1.0)),
    }
