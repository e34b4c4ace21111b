"""Write a model of random weights as model.gguf and as a Hugging Face folder, both half precision.

python quantise_model.py config:OWNER/NAME LAYERS VOCABULARY FOLDER
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from seemant.core.jsonl import read_json, write_records
from seemant.core.records import Paragraph
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import Weights, random_weights
from seemant.models.hf_to_gguf import metadata_of_config
from seemant.models.names import to_gguf
from seemant.models.resolve import resolve


def main() -> None:
    """Write both, and the calibration text of the GGUF file's tokenizer, which knows bytes only."""
    ref, folder = sys.argv[1], Path(sys.argv[4])
    layers, vocab = int(sys.argv[2]), int(sys.argv[3])
    config = read_json(resolve(ref).path) | {"num_hidden_layers": layers, "vocab_size": vocab}
    config.pop("layer_types", None)
    config["architectures"] = ["Qwen2ForCausalLM"]
    weights = random_weights(shape_of_config(config), seed=0)
    family = weights.shape.family
    tensors = {
        to_gguf(name, family): TensorData(
            "F16" if len(size) == 2 else "F32", size, _pieces(weights, name)
        )
        for name, size in weights.shape.tensors().items()
    }
    write_gguf(folder / "model.gguf", metadata_of_config(config) | _tokenizer(vocab), tensors)
    write_records(folder / "calibration.jsonl", _paragraphs())
    hf = folder / "hf"
    hf.mkdir()
    whole = {name: weights.whole(name).half() for name in weights.shape.tensors()}
    save_file(whole, hf / "model.safetensors", metadata={"format": "pt"})
    (hf / "config.json").write_text(json.dumps(config | {"torch_dtype": "float16"}, indent=2))


def _tokenizer(vocab: int) -> dict[str, object]:
    """Return byte-level BPE with one merge: a token a byte or so, the other ids never occur."""
    pieces = [*(_letter(byte) for byte in range(256)), "ab"]
    rest = [f"<|{number}|>" for number in range(len(pieces), vocab)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": pieces + rest,
        "tokenizer.ggml.token_type": MetaValue("[int32]", [1] * len(pieces) + [3] * len(rest)),
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": vocab - 1,
        "tokenizer.ggml.add_bos_token": False,
    }


def _letter(byte: int) -> str:
    """Return the letter by which byte-level BPE writes a byte (GPT-2's table)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if byte in shown:
        return chr(byte)
    return chr(256 + [b for b in range(256) if b not in shown].index(byte))


def _paragraphs() -> list[Paragraph]:
    """Return 100,000 bytes of words drawn from a seed."""
    draw = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.,;"))
    words = ["".join(draw.choice(letters, draw.integers(2, 12))) for _ in range(14_000)]
    return [
        Paragraph(id=str(at), lang="en", subject="words", text=" ".join(words[at : at + 100]))
        for at in range(0, len(words), 100)
    ]


def _pieces(weights: Weights, name: str):  # type: ignore[no-untyped-def]
    def pieces() -> Iterator[np.ndarray]:
        for block in weights.blocks[name]():
            yield block.to(torch.float16 if block.ndim == 2 else torch.float32).numpy()

    return pieces


if __name__ == "__main__":
    main()
