"""Tiny models as GGUF files, an adapter for them, and the stage run on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from safetensors.numpy import save_file

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE
from seemant.core.stage import Done, execute, file_input
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf

D, FF, VOCAB, LAYERS = 64, 96, 40, 2
SHAPES = {
    "attn_q": (D, D),
    "attn_k": (D // 2, D),
    "attn_v": (D // 2, D),
    "attn_output": (D, D),
    "ffn_gate": (FF, D),
    "ffn_up": (FF, D),
    "ffn_down": (D, FF),
}


Make = Callable[..., Path]


@pytest.fixture
def tiny_model(tmp_path: Path) -> Make:
    """Write a two-layer Llama whose block matrices are stored as `stored`."""

    def make(
        name: str = "tiny.gguf",
        *,
        stored: str = "F32",
        embedding: str = "Q8_0",
        architecture: str = "llama",
        extra: dict[str, np.ndarray] | None = None,
    ) -> Path:
        rng = np.random.default_rng(0)
        tensors = {"token_embd.weight": _matrix(rng, VOCAB, D, embedding)}
        for layer in range(LAYERS):
            for part, (rows, columns) in SHAPES.items():
                tensors[f"blk.{layer}.{part}.weight"] = _matrix(rng, rows, columns, stored)
            for part in ("attn_norm", "ffn_norm"):
                tensors[f"blk.{layer}.{part}.weight"] = _norm(rng)
        tensors["output_norm.weight"] = _norm(rng)
        for tensor, values in (extra or {}).items():
            tensors[tensor] = TensorData("F32", values.shape, values)
        write_gguf(tmp_path / name, _metadata(architecture), tensors)
        return tmp_path / name

    return make


@pytest.fixture
def tiny_adapter(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A train artefact that changes blk.0.ffn_down, and what it adds: (alpha / r) B A."""
    rng = np.random.default_rng(1)
    inner = tmp_path / "trained" / "adapter"
    inner.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["down_proj"]}
    (inner / "adapter_config.json").write_text(json.dumps(config))
    stem = "base_model.model.model.layers.0.mlp.down_proj"
    a, b = rng.standard_normal((2, FF)), rng.standard_normal((D, 2))
    pair = {
        f"{stem}.lora_A.weight": a.astype(np.float32),
        f"{stem}.lora_B.weight": b.astype(np.float32),
    }
    save_file(pair, inner / "adapter_model.safetensors")
    return inner.parent, (2 * b.astype(np.float32) @ a.astype(np.float32)).astype(np.float32)


@pytest.fixture
def compress(tmp_path: Path) -> Callable[..., Done]:
    """Run the stage on a model file."""

    def run(model: Path, *, adapter: Path | None = None, **settings: Any) -> Done:
        inputs = {"model": file_input(model, f"path:{model}")}
        if adapter is not None:
            inputs["adapter"] = file_input(adapter, "train:0123")
        return execute(STAGE, CompressConfig(**settings), inputs, store=tmp_path / "runs")

    return run


def _matrix(rng: np.random.Generator, rows: int, columns: int, stored: str) -> TensorData:
    values = rng.standard_normal((rows, columns)).astype(np.float32)
    raw = quants.quantize(values, GGMLQuantizationType[stored])
    return TensorData(stored, (rows, columns), raw)


def _norm(rng: np.random.Generator) -> TensorData:
    return TensorData("F32", (D,), (1 + 0.1 * rng.standard_normal(D)).astype(np.float32))


def _metadata(architecture: str) -> dict[str, MetaValue]:
    a = architecture
    return {
        "general.architecture": MetaValue("string", a),
        "general.name": MetaValue("string", "tiny"),
        "general.license": MetaValue("string", "apache-2.0"),
        f"{a}.block_count": MetaValue("uint32", LAYERS),
        f"{a}.context_length": MetaValue("uint32", 128),
        f"{a}.embedding_length": MetaValue("uint32", D),
        f"{a}.feed_forward_length": MetaValue("uint32", FF),
        f"{a}.attention.head_count": MetaValue("uint32", 4),
        f"{a}.attention.head_count_kv": MetaValue("uint32", 2),
        f"{a}.attention.layer_norm_rms_epsilon": MetaValue("float32", float(np.float32(1e-5))),
        f"{a}.rope.freq_base": MetaValue("float32", 10000.0),
        "tokenizer.ggml.model": MetaValue("string", "gpt2"),
        "tokenizer.ggml.tokens": MetaValue("[string]", [chr(97 + i) for i in range(VOCAB)]),
        "tokenizer.ggml.merges": MetaValue("[string]", []),
        "tokenizer.chat_template": MetaValue("string", "{{ messages[0].content }}"),
        "general.file_type": MetaValue("uint32", 0),
    }
