"""Where a stream takes a model's tensors from: their values by GGUF name, in GGUF's layout."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.compress.source import Source
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.shape import DecoderShape

EMBEDDING, LAST_NORM = "token_embd.weight", "output_norm.weight"


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """A model as its tensors are asked for.

    names: of all tensors, in GGUF's words. sizes: of each, numpy order.
    slices: rows of a tensor from first to last, float32 (rows, columns) a slice.
    """

    shape: DecoderShape
    sizes: Mapping[str, tuple[int, ...]]
    slices: Callable[[str], Iterator[NDArray[np.float32]]]

    def layer(self, layer: int) -> dict[str, Tensor]:
        """Return the tensors of one block by GGUF name, float32: matrices, biases and norms."""
        before = f"blk.{layer}."
        return {name: self.whole(name) for name in self.sizes if name.startswith(before)}

    def whole(self, name: str) -> Tensor:
        """Return one tensor, float32, in memory of its own."""
        out = np.empty(self.sizes[name], np.float32)
        rows, at = out.reshape(-1, out.shape[-1]), 0
        for piece in self.slices(name):
            rows[at : at + len(piece)] = piece
            at += len(piece)
        return torch.from_numpy(out)

    def embedded(self, ids: Tensor) -> Tensor:
        """Return the scaled embeddings of ids (N,), float32 (N, d); the table is read once."""
        out = torch.empty(len(ids), self.shape.d)
        order = torch.argsort(ids, stable=True)
        in_order, at, first = ids[order], 0, 0
        for piece in self.slices(EMBEDDING):
            stop = int(torch.searchsorted(in_order, first + len(piece)))
            out[order[at:stop]] = torch.from_numpy(piece[(in_order[at:stop] - first).numpy()])
            at, first = stop, first + len(piece)
        return out.mul_(self.shape.embed_scale)


def tensors_of(source: Source) -> Tensors:
    """Return the tensors of a base file with its adapter merged.

    Raises:
        BadFile: a family that is not read here, or tensors that do not fit the model.
    """
    sizes = {name: tensor.shape for name, tensor in source.file.tensors.items()}

    def slices(name: str) -> Iterator[NDArray[np.float32]]:
        for piece in source.slices(name):
            yield piece
            source.file.forget_pages()

    return Tensors(gguf_weights(source.file).shape, sizes, slices)
