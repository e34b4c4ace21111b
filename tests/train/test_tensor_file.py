"""Tensors written one at a time are what safetensors itself reads."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from seemant.train.tensor_file import write_tensors


def test_safetensors_reads_every_type_shape_and_the_metadata(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    tensors = {
        "float": torch.randn(3, 5),
        "half": torch.randn(4).to(torch.bfloat16),
        "double": torch.randn(2, 2, dtype=torch.float64),
        "codes": torch.arange(7, dtype=torch.uint8),
        "long": torch.tensor([1, -2]),
        "number": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "transposed": torch.randn(3, 5).T,
        "one": shared,
        "same memory": shared,
        "a view": shared[2:5],
    }
    path = tmp_path / "t.safetensors"
    write_tensors(path, tensors, {"said": "ü"})
    found = load_file(path)
    assert list(found) and set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt", "said": "ü"}
