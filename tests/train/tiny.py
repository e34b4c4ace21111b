"""Small tokenizers of both real kinds, small models of both real families, and pairs."""

from typing import Any

import pytest
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
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    return byte_level_with(special, bos="<|im_start|>", eos="<|im_end|>", add_bos=False)


def byte_level_with(
    special: tuple[str, ...], *, bos: str | None, eos: str, add_bos: bool | None = None
) -> Tokenizer:
    """A byte-level tokenizer with these special pieces first."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = [*special, *sorted(ByteLevel.alphabet()), "th", "the"]
    metadata: dict[str, Any] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(special) + [1] * (len(tokens) - len(special)),
        "tokenizer.ggml.merges": ["t h", "th e"],
        "tokenizer.ggml.eos_token_id": tokens.index(eos),
        "tokenizer.ggml.add_bos_token": bos is not None if add_bos is None else add_bos,
    }
    if bos is not None:
        metadata["tokenizer.ggml.bos_token_id"] = tokens.index(bos)
    return tokenizer_of_metadata(metadata)


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


def decoder_of(model: Any, base: str = "float", embedding: str = "float") -> Any:
    """The same weights as a transformers model's, as our own frozen decoder."""
    from seemant.models.decoder.load import frozen_decoder
    from seemant.models.decoder.shape import shape_of_config
    from seemant.models.decoder.weights import state_weights

    shape = shape_of_config(model.config.to_dict())
    return frozen_decoder(state_weights(shape, model.state_dict()), base, embedding, "float32")


def whole_decoder_of(model: Any) -> Any:
    """The same weights as a transformers model's, every one of them trained."""
    from seemant.models.decoder.shape import shape_of_config
    from seemant.models.decoder.trainable import trainable_decoder

    shape = shape_of_config(model.config.to_dict())
    return trainable_decoder(shape, seed=0, state=model.state_dict())


def shaken(parameters: Any, seed: int = 1, size: float = 0.05) -> Any:
    """The same parameters, each moved a little: adapters that already do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
    return parameters


def needs_package(optimiser: str | None) -> None:
    """Skip where the optimiser's package (extra nf4) is not installed."""
    if optimiser in ("adamw8bit", "lion"):
        pytest.importorskip("bitsandbytes", reason=f"{optimiser} needs bitsandbytes (extra nf4)")
