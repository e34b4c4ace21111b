"""A model's tensors as row blocks in transformers' layout, whatever they come from.

No tensor is whole in memory unless somebody puts its blocks together. Files are read in
`gguf_weights.py` and `folder_weights.py`; here are weights drawn from a seed, and given ones.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.core.errors import BadFile
from seemant.core.seeds import derive_seed
from seemant.models.decoder.shape import DecoderShape

BLOCK_BYTES = 1 << 20  # of float32 in one block of rows
INIT_STD = 0.02  # transformers' initializer_range, of every family here

Blocks = Callable[[], Iterator[Tensor]]


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of one model: float32 row blocks, in order, by transformers' name."""

    shape: DecoderShape
    blocks: Mapping[str, Blocks]

    def whole(self, name: str) -> Tensor:
        """Return one tensor put together."""
        return torch.cat(list(self.blocks[name]()))


def random_weights(shape: DecoderShape, seed: int) -> Weights:
    """Return weights as transformers initialises them: N(0, 0.02²), norms 1, biases 0.

    A tensor's values depend on the seed and its name only.
    """
    return Weights(
        shape,
        {name: _random_blocks(name, size, shape, seed) for name, size in shape.tensors().items()},
    )


def state_weights(shape: DecoderShape, state: Mapping[str, Tensor]) -> Weights:
    """Return given tensors as weights of a shape.

    Raises:
        BadFile: tensors that do not fit the model.
    """
    given = {n: each for n, each in state.items() if not (shape.tied and n == "lm_head.weight")}
    check_fit(shape, {name: tuple(each.shape) for name, each in given.items()}, "the given state")
    return Weights(shape, {name: _state_blocks(each) for name, each in given.items()})


def check_fit(shape: DecoderShape, found: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Raise a BadFile that names what does not fit: `found` has tensors' shapes by name."""
    wanted = shape.tensors()
    named = {
        "missing": sorted(set(wanted) - set(found)),
        "unknown": sorted(set(found) - set(wanted)),
        "of another shape": [n for n in wanted if n in found and found[n] != wanted[n]],
    }
    if any(named.values()):
        what = "; ".join(f"{kind}: {', '.join(each[:3])}" for kind, each in named.items() if each)
        raise BadFile(
            f"the weights do not fit the model ({what})",
            where=where,
            fix="fetch or convert the model again",
        )


def rows_at_once(size: tuple[int, ...], multiple: int = 1) -> int:
    """Return how many rows of a tensor make a block: a multiple of `multiple`."""
    rows = max(1, BLOCK_BYTES // (4 * math.prod(size[1:])))
    return max(1, rows // multiple) * multiple


def _random_blocks(name: str, size: tuple[int, ...], shape: DecoderShape, seed: int) -> Blocks:
    def blocks() -> Iterator[Tensor]:
        if len(size) == 1:
            norm = name.endswith("norm.weight")
            yield torch.full(size, 1.0 if norm and not shape.gemma_norms else 0.0)
            return
        generator = torch.Generator().manual_seed(derive_seed(seed, name))
        step = rows_at_once(size)
        for start in range(0, size[0], step):
            n = min(step, size[0] - start)
            yield torch.randn(n, *size[1:], generator=generator).mul_(INIT_STD)

    return blocks


def _state_blocks(tensor: Tensor) -> Blocks:
    def blocks() -> Iterator[Tensor]:
        step = rows_at_once(tuple(tensor.shape))
        for start in range(0, len(tensor), step):
            yield tensor.detach()[start : start + step].float()

    return blocks
