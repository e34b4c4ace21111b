"""A decoder whose matrices stay in their file: each is read, in float32, where it is used.

All passages go through the body in a few long batches, so a run needs a matrix once or twice, and
one at a time: reading it then costs what loading the model would, and no model is ever in memory.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from seemant.formats.gguf_read import open_gguf
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.folder_weights import folder_weights
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.load import norm_of
from seemant.models.decoder.weights import Blocks, Weights
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.scratch import Scratch
from seemant.models.resolve import weights_in


def file_weights(path: Path) -> Weights:
    """Return the tensors of a GGUF file, an HF folder or an artefact's folder, all still in it.

    Raises:
        BadFile: damaged, of another family, or tensors that do not fit the model.
    """
    place = weights_in(path)
    if place.is_dir():
        return folder_weights(place)
    file = open_gguf(place)
    weights = gguf_weights(file)
    for vocabulary in (file.metadata, file.fields):  # Python strings, not needed any more
        vocabulary.clear()
    return weights


def streamed_decoder(weights: Weights) -> Decoder:
    """Return a float32 decoder over weights that it reads again each time it is run."""
    scratch = Scratch()
    parts: dict[str, nn.Module] = {}
    for name, size in weights.shape.tensors().items():
        module, _, kind = name.rpartition(".")
        if kind == "bias":
            continue  # with its weight
        if len(size) == 1:
            parts[module] = norm_of(weights, module, trained=False)
            continue
        matrix = StreamedMatrix((size[0], size[1]), weights.blocks[name])
        if module in ("model.embed_tokens", "lm_head"):
            parts[module] = matrix
        else:
            bias = f"{module}.bias"
            held = weights.whole(bias) if bias in weights.blocks else None
            parts[module] = FrozenLinear(matrix, held, scratch)
    return Decoder(weights.shape, parts, compute=torch.float32, scratch=scratch).eval()


class StreamedMatrix(FrozenMatrix):
    """A matrix that holds nothing: its rows come from `blocks`, float32, whenever they are asked.

    blocks: gives the row blocks (any, columns) in order, anew at each call.
    """

    def __init__(self, shape: tuple[int, int], blocks: Blocks) -> None:
        super().__init__("float32", shape)
        self.blocks = blocks

    @property
    def device(self) -> torch.device:
        """Where rows come to lie: files are read by the CPU."""
        return torch.device("cpu")

    def gather(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """Return rows by id, a fresh (N, columns) of dtype, in one pass over the matrix."""
        found = torch.empty(len(ids), self.shape[1], dtype=dtype)
        ordered, place = ids.sort()
        at = 0
        for block in self.blocks():
            bounds = torch.tensor([at, at + len(block)])
            low, high = torch.searchsorted(ordered, bounds).tolist()
            if low < high:
                found[place[low:high]] = block[ordered[low:high] - at].to(dtype)
            at += len(block)
        return found

    def _write(self, out: Tensor, start: int, stop: int) -> None:
        at = 0
        for block in self.blocks():
            first, last = max(start, at), min(stop, at + len(block))
            if first < last:
                out[first - start : last - start].copy_(block[first - at : last - at])
            at += len(block)
