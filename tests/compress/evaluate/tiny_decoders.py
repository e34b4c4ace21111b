"""Tiny random decoders, without transformers."""

from typing import Any

import torch

from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import state_weights

COMMON = {
    "vocab_size": 700,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
}
GEMMA = {"model_type": "gemma3_text", "sliding_window": 8, "final_logit_softcapping": 4.0}


def tiny_decoder(**changes: Any) -> Decoder:
    shape = shape_of_config({"model_type": "llama", **COMMON, **changes})
    generator = torch.Generator().manual_seed(5)
    state = {n: torch.randn(s, generator=generator) * 0.2 for n, s in shape.tensors().items()}
    return frozen_decoder(state_weights(shape, state), "float", "float", "float32")


def tiny_sequences(length: int = 24, chunks: int = 3) -> dict[str, list[list[int]]]:
    generator = torch.Generator().manual_seed(7)
    return {
        lang: torch.randint(0, 700, (chunks, length), generator=generator).tolist()
        for lang in ("hi", "kn")
    }
