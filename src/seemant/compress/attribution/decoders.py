"""The two decoders that are compared, whose blocks can stand in for each other's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seemant.compress.attribution.columns import relative_error
from seemant.compress.run import CODES_NAME, MODEL_NAME
from seemant.compress.source import open_source
from seemant.core.errors import BadFile
from seemant.formats.codes import load_codes
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.models.decoder.block import Block
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.load import frozen_decoder
from seemant.models.decoder.weights import Blocks, Weights
from seemant.models.frozen.float_matrix import FloatMatrix
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.hf_config import family_of_metadata
from seemant.models.names import to_hf, values_to_hf
from seemant.probe.subject import variant_facts

_ANOTHER_BASIS = 1.0  # relative error of the table: a rotated one has about the root of 2


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Reference and candidate, float32, of one shape.

    folded: the candidate's scales were moved between neighbouring tensors (AWQ), so that only
        whole blocks can be exchanged, and "the error of a matrix" means nothing.
    """

    reference: Decoder
    candidate: Decoder
    folded: bool = False

    @property
    def n_layers(self) -> int:
        """How many blocks each has."""
        return self.reference.shape.layers


def open_pair(model: Path, adapter: Path | None, variant: Path) -> Pair:
    """Return the base (adapter merged in fp32) and a variant of it.

    Both are whole in memory: 8 bytes a weight.

    Raises:
        BadFile: no GGUF base, no variant there, or one whose layers cannot stand in the base:
            of other tensors, or rotated.
    """
    file = open_gguf(model)
    source = open_source(file, adapter)
    base = _replaced(gguf_weights(file), file, source.merged)
    if (variant / MODEL_NAME).is_file():
        weights = gguf_weights(open_gguf(variant / MODEL_NAME))
    elif (variant / CODES_NAME).is_file():
        weights = _replaced(base, file, load_codes(variant / CODES_NAME))
    else:
        raise BadFile(
            "no variant here: neither model.gguf nor codes.safetensors",
            where=str(variant),
            fix="name the folder of a finished compress run",
        )
    reference, candidate = (
        frozen_decoder(each, "float", "float", "float32") for each in (base, weights)
    )
    _check(reference, candidate, variant)
    method = str(variant_facts(variant).get("method", ""))
    return Pair(reference, candidate, "awq" in method or _norms_differ(reference, candidate))


def table_of(decoder: Decoder) -> Tensor:
    """Return a decoder's embedding (vocabulary, d)."""
    matrix = decoder.model.embed_tokens
    assert isinstance(matrix, FloatMatrix)
    return matrix.weight


def blocks_of(decoder: Decoder) -> list[Block]:
    """Return a decoder's blocks."""
    return [block for block in decoder.model.layers if isinstance(block, Block)]


def linears_of(decoder: Decoder, layer: int) -> dict[str, nn.Module]:
    """Return a layer's linears by transformers' module name."""
    before = f"model.layers.{layer}."
    return {name: each for name, each in decoder.linears().items() if name.startswith(before)}


def weight_of(linear: nn.Module) -> Tensor:
    """Return a frozen linear's weight (rows, columns), its own storage."""
    assert isinstance(linear, FrozenLinear) and isinstance(linear.matrix, FloatMatrix)
    return linear.matrix.weight


def linear_like(linear: nn.Module, weight: Tensor) -> FrozenLinear:
    """Return a linear with another weight and the same bias."""
    assert isinstance(linear, FrozenLinear)
    rows, columns = weight.shape
    matrix = FloatMatrix("float32", (rows, columns), [weight])
    return FrozenLinear(matrix, linear.bias, linear.scratch)


@contextmanager
def swapped(decoder: Decoder, modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put other modules in linears' places, and the old ones back afterwards."""
    old = {name: decoder.get_submodule(name) for name in modules}
    try:
        for name, module in modules.items():
            decoder.replace(name, module)
        yield
    finally:
        for name, module in old.items():
            decoder.replace(name, module)


def _replaced(
    weights: Weights, file: GgufFile, arrays: Mapping[str, NDArray[np.float32]]
) -> Weights:
    """Return weights of which some tensors are these arrays (GGUF names and layout)."""
    family = family_of_metadata(file.metadata)

    def blocks_of_array(name: str) -> Blocks:
        return lambda: iter(
            [torch.from_numpy(np.ascontiguousarray(values_to_hf(name, arrays[name], family)))]
        )

    changed = {to_hf(name, family.name): blocks_of_array(name) for name in arrays}
    return Weights(weights.shape, {**weights.blocks, **changed})


def _check(reference: Decoder, candidate: Decoder, variant: Path) -> None:
    ours, theirs = reference.shape, candidate.shape
    if (ours.family, ours.vocab, ours.layer_linears(), ours.layers) != (
        theirs.family,
        theirs.vocab,
        theirs.layer_linears(),
        theirs.layers,
    ):
        raise BadFile(
            "the variant has other tensors than the model: its layers cannot stand in for the "
            "model's",
            where=str(variant),
            fix="name the model that it was made from; a trimmed vocabulary cannot be attributed",
        )
    table = table_of(reference)
    if relative_error(table, table_of(candidate) - table) > _ANOTHER_BASIS:
        raise BadFile(
            "the variant's embedding is not the model's: rotated, or made from another model",
            where=str(variant),
            fix="attribute the same format without rotation",
        )


def _norms_differ(reference: Decoder, candidate: Decoder) -> bool:
    theirs = dict(candidate.named_buffers())
    return any(
        "norm" in name and not torch.equal(own, theirs[name])
        for name, own in reference.named_buffers()
    )
