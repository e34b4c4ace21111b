"""The tensors of an HF folder as row blocks, read from safetensors files without mapping them."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.weights import Blocks, Weights, check_fit
from seemant.models.folder_tensors import FolderTensor
from seemant.models.hf_folder import open_folder


def folder_weights(folder: Path) -> Weights:
    """Return the tensors of an HF folder.

    Raises:
        BadFile: no safetensors weights, damaged ones, or tensors that do not fit the model.
    """
    opened = open_folder(folder)
    shape = shape_of_config(opened.config)
    check_fit(shape, {name: each.shape for name, each in opened.tensors.items()}, str(folder))
    return Weights(shape, {name: _blocks(each) for name, each in opened.tensors.items()})


def _blocks(tensor: FolderTensor) -> Blocks:
    def blocks() -> Iterator[Tensor]:
        for values in tensor.blocks():
            yield torch.from_numpy(values)

    return blocks
