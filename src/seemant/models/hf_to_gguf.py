"""An HF model folder as a GGUF file in float32: metadata, tokenizer and tensors for llama.cpp.

The inverse of `expand.py`, for Llama, Qwen2 and Qwen3 models whose tokenizer is byte-level BPE
with a cut that llama.cpp knows by name. Nothing is rounded: expanding the file gives the same
weights bit for bit (Llama's q and k rows change places on the way, `names.py`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.hf_config import family_of_config
from seemant.models.hf_folder import read_config, weight_files
from seemant.models.names import Array, Family, to_gguf, values_to_gguf
from seemant.models.prompts import template_of
from seemant.models.tokenizer_metadata import metadata_of_tokenizer

WRITTEN = ("llama", "qwen2", "qwen3")
_ALL_F32 = 0  # llama_ftype


def hf_to_gguf(
    folder: Path,
    path: Path,
    *,
    name: str,
    languages: Sequence[str] = (),
    licence: str | None = None,
) -> None:
    """Write a folder's model as one GGUF file, whole or not at all.

    name: what the file calls the model. languages: codes that the model carries; none: not said.

    Raises:
        BadFile: a family or tokenizer that is not written here, or a damaged folder; it is named.
        DiskFull, NoPermission: the system refused; nothing is left behind.
    """
    config = read_config(folder)
    family = family_of_config(config)
    metadata = metadata_of_config(config, where=str(folder / "config.json"))
    more: dict[str, Any] = {"general.name": name, "general.file_type": _ALL_F32}
    if licence:
        more["general.license"] = licence
    if languages:
        more["general.languages"] = MetaValue("[string]", list(languages))
    if source := template_of(folder).source:
        more["tokenizer.chat_template"] = source
    tokens = metadata_of_tokenizer(folder, int(config["vocab_size"]), name=name)
    tied = bool(config.get("tie_word_embeddings"))
    write_gguf(path, metadata | more | tokens, _tensors(folder, family, tied=tied))


def metadata_of_config(config: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Return what a `config.json` says in a GGUF file's words; `config_of_metadata` undoes it.

    Raises:
        BadFile: a family, activation, rotation, window or bias that is not written here.
    """
    family = family_of_config(config)
    # Newer files say all of it in rope_parameters; older ones beside rope_scaling, whose kind was
    # called "type" before "rope_type".
    old = config.get("rope_scaling") or {}
    rope = {"rope_theta": config.get("rope_theta", 10_000.0), **old}
    rope |= config.get("rope_parameters") or {}
    kinds = {each[key] for each in (old, rope) for key in ("rope_type", "type") if each.get(key)}
    scaled = sorted(str(each) for each in kinds - {"default"})
    turned = rope.get("partial_rotary_factor") or config.get("partial_rotary_factor")
    windowed = "sliding_attention" in (config.get("layer_types") or ())
    refused = {
        f"the family {family.name!r}": family.name not in WRITTEN,
        f"the activation {config.get('hidden_act')!r}": config.get("hidden_act") != "silu",
        f"rotations of the type {' and '.join(map(repr, scaled))}": bool(scaled),
        f"rotations of a part of each head (partial_rotary_factor {turned})": turned
        not in (None, 1),
        "attention in a sliding window (use_sliding_window)": (
            bool(config.get("use_sliding_window")) or windowed
        ),
        "a bias in the gated layer (mlp_bias)": bool(config.get("mlp_bias")),
    }
    for what, wrong in refused.items():
        if wrong:
            raise BadFile(
                f"{what} cannot be written as GGUF here",
                where=where or None,
                fix=f"use a plain model of {', '.join(WRITTEN)}, or llama.cpp's own converter",
            )
    heads, width = family.n_heads, int(config["hidden_size"])
    head = int(config.get("head_dim") or width // heads)
    own = {
        "block_count": int(config["num_hidden_layers"]),
        "context_length": int(config["max_position_embeddings"]),
        "embedding_length": width,
        "feed_forward_length": int(config["intermediate_size"]),
        "attention.head_count": heads,
        "attention.head_count_kv": family.n_kv_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": MetaValue("float32", float(config["rms_norm_eps"])),
        "rope.dimension_count": head,
        "rope.freq_base": MetaValue("float32", float(rope["rope_theta"])),
        "vocab_size": int(config["vocab_size"]),
    }
    return {
        "general.architecture": family.name,
        "general.type": "model",
        **{f"{family.name}.{key}": value for key, value in own.items()},
    }


def _tensors(folder: Path, family: Family, *, tied: bool) -> dict[str, TensorData]:
    from safetensors import SafetensorError, safe_open

    found: dict[str, TensorData] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, "numpy") as weights:
                keys = weights.keys()  # the file itself cannot be iterated over
                shapes = {key: tuple(weights.get_slice(key).get_shape()) for key in keys}
        except (SafetensorError, OSError) as error:
            raise BadFile(
                f"the weights cannot be read: {error}", where=str(file), fix="fetch them again"
            ) from error
        for key, shape in shapes.items():
            if key.endswith("rotary_emb.inv_freq") or (tied and key == "lm_head.weight"):
                continue  # computed, or the embedding once more
            name = to_gguf(key, family.name)
            found[name] = TensorData("F32", shape, _values(file, key, name, family))
    return found


def _values(file: Path, key: str, name: str, family: Family) -> Callable[[], Iterable[Array]]:
    def values() -> Iterable[Array]:
        from safetensors import safe_open

        with safe_open(file, "pt") as weights:  # numpy has no bfloat16
            tensor = weights.get_tensor(key).float().numpy()
        yield np.ascontiguousarray(values_to_gguf(name, tensor, family), np.float32)

    return values
