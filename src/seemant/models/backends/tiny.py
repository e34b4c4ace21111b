"""A whole language model of 200 kB, made from a formula: to check engines with, not to talk to.

Its weights are sines, so they are the same on every machine; its vocabulary is the 256 bytes and
a few joined pairs; its architecture is Llama's, in float32, where all engines must agree.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf

WIDTH, HEADS, KV_HEADS, HIDDEN, LAYERS, CONTEXT = 64, 4, 2, 96, 2, 512
PAIRS = ("a b", "t h", "Ġ a", "Ġ th", "th e", "Ġ the")
BOS, EOS = "<|begin|>", "<|end|>"  # the second is a piece that llama.cpp knows as a turn's end
N_TOKENS = 256 + len(PAIRS) + 2


def write_tiny(path: Path, *, chat_template: str = "", seed: int = 0) -> None:
    """Write the model as a GGUF file. Other seeds give other weights."""
    head = WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (N_TOKENS, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (N_TOKENS, WIDTH),
    }
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (WIDTH,),
            f"blk.{layer}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{layer}.attn_k.weight": (KV_HEADS * head, WIDTH),
            f"blk.{layer}.attn_v.weight": (KV_HEADS * head, WIDTH),
            f"blk.{layer}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{layer}.ffn_norm.weight": (WIDTH,),
            f"blk.{layer}.ffn_gate.weight": (HIDDEN, WIDTH),
            f"blk.{layer}.ffn_up.weight": (HIDDEN, WIDTH),
            f"blk.{layer}.ffn_down.weight": (WIDTH, HIDDEN),
        }
    tensors = {
        name: TensorData("F32", shape, _values(shape, 97 * seed + index))
        for index, (name, shape) in enumerate(shapes.items())
    }
    head_rows = tensors["output.weight"].data
    assert isinstance(head_rows, np.ndarray)
    head_rows[[byte for byte in range(256) if not 32 <= byte < 127]] = 0.0  # it writes ASCII
    write_gguf(path, _metadata(chat_template), tensors)


def _values(shape: tuple[int, ...], index: int) -> NDArray[np.float32]:
    """Return sines of far-apart arguments: they look random and need no generator."""
    n = math.prod(shape)
    wave = np.sin(np.arange(1, n + 1, dtype=np.float64) * (1.0 + 0.37 * index) * 12.9898)
    if len(shape) == 1:  # a norm's gain: around 1
        return np.asarray(1.0 + 0.2 * wave, np.float32)
    scale = 1.5 / math.sqrt(shape[1])
    return np.asarray(scale * wave.reshape(shape), np.float32)


def _metadata(chat_template: str) -> dict[str, Any]:
    tokens = [_letter(byte) for byte in range(256)]
    tokens += [pair.replace(" ", "") for pair in PAIRS] + [BOS, EOS]
    metadata: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.block_count": LAYERS,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": HIDDEN,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": N_TOKENS,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": MetaValue("[int32]", [1] * (N_TOKENS - 2) + [3, 3]),
        "tokenizer.ggml.merges": list(PAIRS),
        "tokenizer.ggml.bos_token_id": N_TOKENS - 2,
        "tokenizer.ggml.eos_token_id": N_TOKENS - 1,
        "tokenizer.ggml.add_bos_token": True,
    }
    if chat_template:
        metadata["tokenizer.chat_template"] = chat_template
    return metadata


def _letter(byte: int) -> str:
    """Return the letter by which byte-level BPE writes a byte (GPT-2's table)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in shown:
        return chr(byte)
    return chr(256 + [b for b in range(256) if b not in shown].index(byte))
