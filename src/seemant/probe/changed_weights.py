"""A model's weights with an adapter merged in, or with other values in some tensors' place.

Merged in float32, W' = W + s B A, as each block of rows is read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.core.errors import BadFile
from seemant.models.adapters import LowRank, read_adapter
from seemant.models.decoder.weights import Blocks, Weights, check_fit, rows_at_once
from seemant.models.names import Family, to_hf, values_to_hf


def with_adapter(weights: Weights, adapter: Path) -> Weights:
    """Return the weights with a LoRA added: a PEFT folder or a train artefact.

    Raises:
        BadFile: as `read_adapter`, or a matrix that the model lacks or has in another shape.
    """
    wanted = weights.shape.tensors()
    changed: dict[str, Blocks] = {}
    for name, pair in read_adapter(adapter, tied=weights.shape.tied).items():
        size = (pair.b.shape[0], pair.a.shape[1])
        if wanted.get(name) != size:
            raise BadFile(
                f"the base has no {name} of {size[0]} x {size[1]}",
                where=str(adapter),
                fix="name the adapter's own base",
            )
        changed[name] = _merged(weights.blocks[name], pair)
    return Weights(weights.shape, {**weights.blocks, **changed})


def with_values(weights: Weights, values: Mapping[str, NDArray[np.float32]], where: str) -> Weights:
    """Return the weights with these in their place, by GGUF name and in GGUF's layout.

    where: what the values come from, for error texts.

    Raises:
        BadFile: a tensor that the model lacks or has in another shape.
    """
    shape = weights.shape
    family = Family(shape.family, shape.heads, shape.kv_heads)
    names = {name: to_hf(name, family.name) for name in values}
    sizes = {names[name]: tuple(array.shape) for name, array in values.items()}
    check_fit(shape, shape.tensors() | sizes, where)
    given = {
        names[name]: torch.from_numpy(
            np.ascontiguousarray(values_to_hf(name, np.asarray(array, np.float32), family))
        )
        for name, array in values.items()
    }
    return Weights(shape, {**weights.blocks, **{n: _rows(each) for n, each in given.items()}})


def _merged(base: Blocks, pair: LowRank) -> Blocks:
    def blocks() -> Iterator[Tensor]:
        delta = torch.from_numpy(pair.delta())
        at = 0
        for block in base():
            yield block + delta[at : at + len(block)]
            at += len(block)

    return blocks


def _rows(tensor: Tensor) -> Blocks:
    def blocks() -> Iterator[Tensor]:
        yield from torch.split(tensor, rows_at_once(tuple(tensor.shape)))

    return blocks
