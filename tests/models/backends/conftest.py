"""A tiny model on disk, an adapter for it, and a cache of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from seemant.models.backends.llamacpp import LlamaCpp
from seemant.models.backends.tiny import HIDDEN, WIDTH, write_tiny


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny(path)
    return path


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEFT folder that changes queries (whose rows GGUF permutes) and a hidden layer."""
    folder = tmp_path_factory.mktemp("adapter")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "up_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(3)
    tensors = {}
    for module, n_out in (("self_attn.q_proj", WIDTH), ("mlp.up_proj", HIDDEN)):
        name = f"base_model.model.model.layers.1.{module}"
        tensors[f"{name}.lora_A.weight"] = rng.normal(size=(4, WIDTH)).astype(np.float32) * 0.2
        tensors[f"{name}.lora_B.weight"] = rng.normal(size=(n_out, 4)).astype(np.float32) * 0.2
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


@pytest.fixture
def model(tiny_gguf: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(tiny_gguf, context=512) as opened:
        yield opened
