"""Tiny models of each family: as transformers makes them, and written to GGUF by other means.

Names come from gguf-py's own table and layouts from loops written here, so that a mistake of
seemant's own tables cannot cancel out between writing and reading.
"""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf

FAMILIES = ["llama", "qwen2", "qwen3", "gemma3", "smollm3", "phi3"]
N_VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, HEAD = 320, 64, 7, 4, 2, 16


def tiny_model(family: str, *, tied: bool = True, seed: int = 0, **said: Any) -> Any:
    """A transformers model of a family, float32, every parameter random, norms and biases too.

    said: more of its configuration.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    common: dict[str, Any] = {
        "vocab_size": N_VOCAB,
        "hidden_size": WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 256,
        "tie_word_embeddings": tied,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    own: dict[str, Any] = {
        "llama": {"model_type": "llama", "rope_parameters": _rope(50_000.0)},
        "qwen2": {"model_type": "qwen2", "rope_parameters": _rope(1_000_000.0)},
        "qwen3": {"model_type": "qwen3", "head_dim": HEAD, "rope_parameters": _rope(1e6)},
        "smollm3": {"model_type": "smollm3", "rope_parameters": _rope(2_000_000.0)},
        "phi3": {"model_type": "phi3", "rope_parameters": _rope(10_000.0)},
        "gemma3": {
            "model_type": "gemma3_text",
            "head_dim": HEAD,
            "query_pre_attn_scalar": HEAD,
            "sliding_window": 8,
            "rope_parameters": {
                "full_attention": _rope(1e6),
                "sliding_attention": _rope(10_000.0),
            },
        },
    }[family]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**common | own | said))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    return model.float().eval()


def write_tiny_gguf(path: Path, model: Any, family: str, **more: Any) -> Path:
    """The model as an F32 GGUF file with a byte-level tokenizer of 256 bytes and 3 specials."""
    table = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), LAYERS)
    tensors = {}
    for name, parameter in model.named_parameters():
        gguf_name = table.get_name(name, (".weight", ".bias"))
        assert gguf_name is not None, name
        values = stored(name, parameter.detach().numpy(), family)
        tensors[gguf_name] = TensorData("F32", values.shape, np.ascontiguousarray(values))
    write_gguf(path, tiny_metadata(model.config, family) | more, tensors)
    return path


def stored(name: str, values: NDArray[np.float32], family: str) -> NDArray[np.float32]:
    """A transformers tensor as llama.cpp stores it, row by row."""
    if family == "gemma3" and name.endswith("norm.weight"):
        return values + np.float32(1)
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.split(".")[-2], 0)
    if family not in ("llama", "smollm3") or not heads:
        return values
    out, size = np.empty_like(values), values.shape[0] // heads
    for head in range(heads):
        for i in range(size // 2):  # llama.cpp rotates rows 2i and 2i + 1 together
            out[head * size + 2 * i] = values[head * size + i]
            out[head * size + 2 * i + 1] = values[head * size + i + size // 2]
    return out


def tiny_metadata(config: Any, family: str) -> dict[str, Any]:
    rope = config.rope_parameters
    theta = rope.get("full_attention", rope)["rope_theta"]
    of_family = {
        "context_length": 256,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.layer_norm_rms_epsilon": MetaValue("float32", config.rms_norm_eps),
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "rope.freq_base": MetaValue("float32", theta),
    }
    if family == "gemma3":
        of_family["attention.sliding_window"] = 8
    if family == "phi3":
        of_family["attention.sliding_window"] = 0
        of_family["rope.scaling.original_context_length"] = 256
    words = byte_level_metadata()
    types = words.pop("tokenizer.ggml.token_type")
    return {
        "general.architecture": family,
        "general.name": f"tiny {family}",
        **{f"{family}.{key}": value for key, value in of_family.items()},
        **words,
        "tokenizer.ggml.token_type": MetaValue("[int32]", types),
    }


def byte_level_metadata() -> dict[str, Any]:
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<pad>", "<s>", "<end>", *sorted(ByteLevel.alphabet()), "th", "the"]
    tokens += [f"<unused{i}>" for i in range(N_VOCAB - len(tokens))]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3, 3] + [1] * (N_VOCAB - 3),
        "tokenizer.ggml.merges": ["t h", "th e"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
    }


def tiny_ids(n: int = 24) -> torch.Tensor:
    """Ids (1, n) without special tokens."""
    return torch.randint(3, 250, (1, n), generator=torch.Generator().manual_seed(7))


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model(ids).logits
    return result


def _rope(theta: float) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta}
