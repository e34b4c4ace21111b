"""Random models of each family in folders as the Hub has them, with published tokenizers."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = "tokenizers"  # below the shared field inputs
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.05, 1.1, 1.2, 1.4, 1.7, 2.0, 2.4],
    "long_factor": [1.0, 1.3, 1.8, 2.5, 4.0, 6.0, 9.0, 14.0],
}
_DIGITS = {  # SmolLM2's, as published
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
_GEMMA_ROPE = {
    "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}
_GEMMA = {
    "model_type": "gemma3_text",
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 16,
    "num_hidden_layers": 7,
    "rope_parameters": _GEMMA_ROPE,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A family in one form. words: whose tokenizer it gets. said: its configuration's own part.

    old: the settings are written as folders before transformers 5 have them. cut: the tokenizer's
    pre-tokenizer, where the family has another than `words`.
    """

    words: str
    said: Mapping[str, Any]
    old: bool = False
    multimodal: bool = False
    cut: Mapping[str, Any] | None = None


ROWS: dict[str, Row] = {
    "Qwen2.5": Row("qwen3", {"model_type": "qwen2"}),
    "Qwen2.5, untied, as of 2024": Row(
        "qwen3", {"model_type": "qwen2", "tie_word_embeddings": False}, old=True
    ),
    "Qwen3": Row("qwen3", {"model_type": "qwen3", "head_dim": 32}),
    "Gemma 3": Row("gemma3", _GEMMA),
    "Gemma 3, as of 2025": Row("gemma3", _GEMMA, old=True),
    "Gemma 3, of a multimodal folder": Row("gemma3", _GEMMA, multimodal=True),
    "Llama 3.1": Row("llama3_1", {"model_type": "llama", "rope_parameters": _LLAMA3}),
    "SmolLM2": Row("qwen3", {"model_type": "llama"}, old=True, cut=_DIGITS),
    "Llama, biases": Row("llama3_1", {"model_type": "llama", "attention_bias": True}),
    "SmolLM3": Row("llama3_1", {"model_type": "smollm3"}),
    "Phi-3": Row("gemma3", {"model_type": "phi3"}),
    "Phi-4 mini": Row(
        "qwen3",
        {
            "model_type": "phi3",
            "original_max_position_embeddings": 64,
            "rope_parameters": _LONGROPE
            | {
                "short_factor": _LONGROPE["short_factor"][:6],
                "long_factor": _LONGROPE["long_factor"][:6],
                "partial_rotary_factor": 0.75,
            },
        },
    ),
    "Phi-3, long": Row(
        "gemma3",
        {
            "model_type": "phi3",
            "original_max_position_embeddings": 64,
            "rope_parameters": _LONGROPE,
        },
    ),
}


def make_folder(row: Row, words: Path, folder: Path, *, seed: int) -> Any:
    """Fill a folder with a random model and a tokenizer; returns the transformers text model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True)
    tokenizer = words / row.words
    ids = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = {**ids["model"]["vocab"], **{t["content"]: t["id"] for t in ids["added_tokens"]}}
    common = {
        "vocab_size": max(pieces.values()) + 65,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-5,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    said = common | dict(row.said)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**said)).float().eval()
    randomise(model)
    if row.multimodal:
        _with_images(model, folder)
    else:
        model.save_pretrained(folder)
    if row.old:
        _written_the_old_way(folder / "config.json")
    for file in tokenizer.iterdir():
        shutil.copyfile(file, folder / file.name)
    if row.cut is not None:
        said = ids | {"normalizer": None, "pre_tokenizer": row.cut}
        (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    return model


def randomise(model: Any) -> None:
    """Give every parameter random values, norms and biases too."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.08)
            if parameter.ndim == 1:
                parameter.add_(0.5)


def _with_images(model: Any, folder: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    config = Gemma3Config(
        text_config=model.config.to_dict(), vision_config=vision, mm_tokens_per_image=1
    )
    whole = Gemma3ForConditionalGeneration(config).float()
    whole.model.language_model.load_state_dict(model.model.state_dict())
    whole.save_pretrained(folder)


def _written_the_old_way(path: Path) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    rope = said.pop("rope_parameters")
    said["torch_dtype"] = said.pop("dtype", "float32")
    said.pop("layer_types", None)
    if "full_attention" in rope:
        said["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        said["sliding_window_pattern"] = 6
        rope = rope["full_attention"]
    said["rope_theta"] = rope.pop("rope_theta")
    if rope.get("rope_type") != "default":
        said["rope_scaling"] = rope
    path.write_text(json.dumps(said), encoding="utf-8")
