"""Tiny random models of the four families, and the same tensors as a stream reads them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.calibrate.tensors import Tensors
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import state_weights
from seemant.models.names import Family, to_gguf, values_to_gguf

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")


@dataclass(frozen=True)
class Tiny:
    """A model both ways, and token ids."""

    decoder: Decoder
    tensors: Tensors
    sequences: dict[str, list[list[int]]]


@pytest.fixture
def tiny() -> Callable[[str], Tiny]:
    """Make a family's model: 3 layers, every tensor random, norms and biases too."""
    return _make


def _make(family: str) -> Tiny:
    config = {
        "model_type": "gemma3_text" if family == "gemma3" else family,
        "vocab_size": 96,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-5,
    }
    if family in ("gemma3", "qwen3"):
        config["head_dim"] = 24
    if family == "gemma3":
        config |= {
            "sliding_window": 8,
            "layer_types": ["sliding_attention"] * 2 + ["full_attention"],
        }
    shape = shape_of_config(config)
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, size in shape.tensors().items():
        state[name] = torch.randn(size, generator=generator) * 0.15
        if name.endswith("norm.weight") and not shape.gemma_norms:
            state[name] += 1
    kinds = Family(family, shape.heads, shape.kv_heads)
    values = {}
    for name, tensor in state.items():
        gguf = to_gguf(name, family)
        values[gguf] = values_to_gguf(gguf, tensor.numpy().copy(), kinds)

    def slices(name: str) -> Iterator[NDArray[np.float32]]:
        rows = values[name].reshape(-1, values[name].shape[-1])
        yield rows[: len(rows) // 2]
        yield rows[len(rows) // 2 :]

    rng = np.random.default_rng(1)
    sequences = {
        "hi": [rng.integers(0, 96, n).tolist() for n in (20, 20, 13)],
        "en": [rng.integers(0, 96, n).tolist() for n in (20, 7)],
    }
    decoder = frozen_decoder(state_weights(shape, state), "float", "float", "float32")
    sizes = {name: each.shape for name, each in values.items()}
    return Tiny(decoder, Tensors(shape, sizes, slices), sequences)
