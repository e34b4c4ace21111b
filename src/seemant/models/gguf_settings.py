"""A model's settings in a GGUF file's words, as llama.cpp's own converter writes them.

What llama.cpp has as a constant of a family (Gemma's pattern of windows, SmolLM3's of layers
without rotation) cannot be written: a model that has it otherwise is refused by name.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData
from seemant.models.decoder.rope import Rope, frequency_factors
from seemant.models.decoder.shape import DecoderShape, shape_of_config
from seemant.models.families import gemma3, smollm3
from seemant.models.families.registry import TABLES
from seemant.models.names import LONG_FACTORS, ROPE_FACTORS, SHORT_FACTORS


def metadata_of_config(config: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Return what a `config.json` says in a GGUF file's words; `config_of_metadata` undoes it.

    Raises:
        BadFile: a family, activation, rotation, window or bias that is not written here.
    """
    shape = shape_of_config(config)
    refuse_unsaid(shape, where)
    rope = global_rope(shape)
    own: dict[str, Any] = {
        "block_count": shape.layers,
        "context_length": shape.max_length,
        "embedding_length": shape.d,
        "feed_forward_length": shape.ff,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": _float(shape.eps),
        "rope.dimension_count": shape.rotary_dim,
        "rope.freq_base": _float(rope.theta),
        "vocab_size": shape.vocab,
    }
    if rope.kind == "linear":
        own |= {"rope.scaling.type": "linear", "rope.scaling.factor": _float(rope.factor)}
    if shape.family == "gemma3":
        window = next((each for each in shape.windows if each is not None), 0)
        own["attention.sliding_window"] = window
    if shape.softcap is not None:
        own["final_logit_softcapping"] = _float(shape.softcap)
    if shape.family == "phi3":
        own["attention.sliding_window"] = shape.windows[0] or 0
        length = rope.original if rope.kind == "longrope" else shape.max_length
        own["rope.scaling.original_context_length"] = length
        if rope.kind == "longrope":
            own["rope.scaling.attn_factor"] = _float(rope.attention)
    return {
        "general.architecture": shape.family,
        "general.type": "model",
        **{f"{shape.family}.{key}": value for key, value in own.items()},
    }


def rope_tensors(config: Mapping[str, Any]) -> dict[str, TensorData]:
    """Return the tensors that say a rotation's factors in a GGUF file; {} where it has none."""
    shape = shape_of_config(config)
    rope = global_rope(shape)
    if rope.kind == "llama3":
        return {ROPE_FACTORS: _stored(frequency_factors(rope, shape.rotary_dim))}
    if rope.kind == "longrope":
        return {LONG_FACTORS: _stored(rope.long_factors), SHORT_FACTORS: _stored(rope.factors)}
    return {}


def global_rope(shape: DecoderShape) -> Rope:
    """Return the rotation of the layers that see everything."""
    turned = [
        (rope, window)
        for rope, window in zip(shape.ropes, shape.windows, strict=True)
        if rope.kind != "none"
    ]
    return next((rope for rope, window in turned if window is None), turned[0][0])


def refuse_unsaid(shape: DecoderShape, where: str = "") -> None:
    """Refuse a model whose function no GGUF file of its family can say.

    Raises:
        BadFile: names the setting.
    """
    table, rope = TABLES[shape.family], global_rope(shape)
    activation = "gelu_tanh" if table.gemma_norms else "silu"
    biases = sorted(shape.biases - table.gguf_biases)
    refused = {
        f"the activation {shape.activation!r}": shape.activation != activation,
        f"rotations of the type {rope.kind!r}": rope.kind not in table.rotations,
        f"a bias of {', '.join(biases)} (attention_bias, mlp_bias)": bool(biases),
        _LAYERS.get(shape.family, _PLAIN): not _layers_as_llama_cpp_has_them(shape, rope),
        "attention scores scaled otherwise than by the heads' size (query_pre_attn_scalar)": (
            abs(shape.query_scale * shape.head_dim**0.5 - 1) > 1e-6
        ),
    }
    for what, wrong in refused.items():
        if wrong:
            raise BadFile(
                f"{what}: no {shape.family} file can say that, so it cannot be written as GGUF",
                where=where or None,
                fix="use a model of the family as it was published",
            )


_PLAIN = "attention in a sliding window (use_sliding_window, layer_types)"
_LAYERS = {
    "gemma3": "other windows than five of six layers, or another local rotation than 10000 "
    "(sliding_window_pattern, layer_types, rope_local_base_freq)",
    "smollm3": "other layers without rotation than every fourth, or a sliding window "
    "(no_rope_layers, use_sliding_window)",
}


def _layers_as_llama_cpp_has_them(shape: DecoderShape, rope: Rope) -> bool:
    n = shape.layers
    if shape.family == "gemma3":
        full = [(i + 1) % gemma3.PATTERN == 0 for i in range(n)]
        window, local = shape.windows[0], Rope(gemma3.LOCAL_ROPE)
        windows = tuple(None if each else window for each in full)
        ropes = tuple(rope if each else local for each in full)
        return window is not None and shape.windows == windows and shape.ropes == ropes
    if shape.family == "phi3":
        return len({*shape.windows}) == 1
    if shape.family == "smollm3":
        turned = tuple((i + 1) % smollm3.PATTERN != 0 for i in range(n))
        found = tuple(each.kind != "none" for each in shape.ropes)
        return found == turned and not any(shape.windows)
    return not any(shape.windows)


def _float(value: float) -> MetaValue:
    return MetaValue("float32", value)


def _stored(values: Any) -> TensorData:
    array = np.asarray(values, np.float32)
    return TensorData("F32", array.shape, array)
