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

from seemant.core.jsonl import read_json
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import Weights, random_weights
from seemant.models.hf_to_gguf import metadata_of_config
from seemant.models.names import to_gguf
from seemant.models.resolve import resolve


def main() -> None:
    """Write both; no tokenizer: calibration is ids."""
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
    write_gguf(folder / "model.gguf", metadata_of_config(config), tensors)
    hf = folder / "hf"
    hf.mkdir()
    whole = {name: weights.whole(name).half() for name in weights.shape.tensors()}
    save_file(whole, hf / "model.safetensors", metadata={"format": "pt"})
    (hf / "config.json").write_text(json.dumps(config | {"torch_dtype": "float16"}, indent=2))


def _pieces(weights: Weights, name: str):  # type: ignore[no-untyped-def]
    def pieces() -> Iterator[np.ndarray]:
        for block in weights.blocks[name]():
            yield block.to(torch.float16 if block.ndim == 2 else torch.float32).numpy()

    return pieces


if __name__ == "__main__":
    main()
