"""Small tokenizers of both real kinds, small models of both real families, and pairs."""

from typing import Any

import torch

from seemant.core.records import Lang, Pair
from seemant.models.tokenizer import Tokenizer, tokenizer_of_metadata

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def sentencepiece(*extra: str) -> Tokenizer:
    """A Gemma-like tokenizer: bytes, letters, `extra` pieces (later ones join first)."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = ["▁", "\n", *map(chr, range(33, 127))]
    tokens = [*special, *raw, *letters, *extra]
    scores = [0.0] * (len(tokens) - len(extra)) + [float(i + 1) for i in range(len(extra))]
    types = [3, 3, 3, 2] + [6] * 256 + [1] * (len(letters) + len(extra))
    return tokenizer_of_metadata(
        {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": scores,
            "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.bos_token_id": 2,
            "tokenizer.ggml.eos_token_id": 1,
            "tokenizer.ggml.unknown_token_id": 3,
            "tokenizer.ggml.add_bos_token": True,
            "tokenizer.ggml.add_space_prefix": False,
        }
    )


def byte_level() -> Tokenizer:
    """A SmolLM2-like tokenizer: byte-level, its BOS is a piece of the chat template, unasked."""
    from tokenizers.pre_tokenizers import ByteLevel

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *sorted(ByteLevel.alphabet()), "th", "the"]
    return tokenizer_of_metadata(
        {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3, 3, 3] + [1] * (len(tokens) - 3),
            "tokenizer.ggml.merges": ["t h", "th e"],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.ggml.add_bos_token": False,
        }
    )


def pair(question: str, answer: str, *, given: str = "", lang: Lang = "en", **more: Any) -> Pair:
    return Pair(instruction=question, input=given, output=answer, lang=lang, **more)


def some_pairs(n: int) -> list[Pair]:
    """Pairs of very different lengths, two to a paragraph."""
    return [
        pair(f"What is {i}?", f"It is {i}" + " and so on" * (i % 4), paragraph_id=f"p{i // 2}")
        for i in range(n)
    ]


def tiny_llama(n_vocab: int, seed: int = 0) -> Any:
    """A Llama of two layers with random weights, tied, in float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=n_vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def tiny_gemma(n_vocab: int, seed: int = 0) -> Any:
    """A Gemma 3 of two layers with random weights, tied, in float32."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=n_vocab,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=16,
        initializer_range=0.3,
    )
    return Gemma3ForCausalLM(config).eval()
