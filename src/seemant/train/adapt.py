"""Adapters on a frozen decoder: LoRA, rsLoRA, DoRA on every linear layer of its blocks.

The scale s of the product B A is alpha / r; rsLoRA takes alpha / sqrt(r), so that a larger rank
learns no slower (Kalajdzievski, arXiv 2312.03732, theorem 3.2). The arithmetic is in `lowrank.py`.
The head and the embedding have no adapter: one on a matrix that both share would untie it in some
tools and be dropped by others.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from seemant.core.errors import InputError
from seemant.core.seeds import derive_seed
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.train.lowrank import Drop, dora, lora

_ENDS = ("embed_tokens", "lm_head")
_ROWS = 1024  # of a matrix, dequantised at a time to sum its squares


class Adaptable(Protocol):
    """What an adapter needs of a decoder: its linear layers by name, and to put others there."""

    def linears(self) -> dict[str, nn.Module]: ...  # noqa: D102
    def replace(self, name: str, module: nn.Module) -> None: ...  # noqa: D102


@dataclass(slots=True)
class Dropout:
    """What the adapters drop of their inputs: a pure function of layer, step and micro-batch.

    So a resumed run, a layer computed twice and any number of ranks see the same masks, and there
    is no generator whose state could be lost. at: (step, micro-batch) in training, else None.
    """

    share: float = 0.0
    seed: int = 0
    at: tuple[int, int] | None = None

    def of(self, name: str) -> Drop | None:
        """Return share and seed of this layer's mask now; None where nothing is dropped."""
        if self.at is None or not self.share:
            return None
        return self.share, derive_seed(self.seed, "dropout", name, *self.at)


class LoraLinear(nn.Module):
    """A frozen linear layer and its adapter: `lora_a` (r, in) and `lora_b` (out, r), float32.

    enabled: whether the adapter takes part; without it the layer is its base again.
    """

    def __init__(
        self,
        base: FrozenLinear,
        rank: int,
        scale: float,
        *,
        seed: int = 0,
        name: str = "",
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        self.base, self.scale, self.name = base, scale, name
        self.dropout = dropout or Dropout()
        self.enabled = True
        device = base.matrix.device
        # The start that PEFT uses: uniform in ±1/sqrt(in) for A (Kaiming, a = sqrt 5), zero for B.
        generator = torch.Generator().manual_seed(derive_seed(seed, "adapter", name))
        bound = 1 / math.sqrt(base.in_features)
        start = torch.rand(rank, base.in_features, generator=generator) * (2 * bound) - bound
        self.lora_a = nn.Parameter(start.to(device))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out) for x (N, in), in x's type."""
        if not self.enabled:
            y: Tensor = self.base(x)
            return y
        return self._adapted(x, self.dropout.of(self.name))

    def learned(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by the name that PEFT gives it."""
        return {"lora_A.weight": self.lora_a, "lora_B.weight": self.lora_b}

    def _adapted(self, x: Tensor, drop: Drop | None) -> Tensor:
        return lora(x, self.lora_a, self.lora_b, self.base, self.scale, drop)


class DoraLinear(LoraLinear):
    """LoRA with a trained length a row: `magnitude` (out,) float32, which starts as Ŵ's own."""

    squares: Tensor

    def __init__(self, base: FrozenLinear, rank: int, scale: float, **named: object) -> None:
        super().__init__(base, rank, scale, **named)  # type: ignore[arg-type]
        self.register_buffer("squares", row_squares(base.matrix), persistent=False)
        self.magnitude = nn.Parameter(self.squares.sqrt())

    def learned(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by the name that PEFT gives it."""
        return super().learned() | {"lora_magnitude_vector": self.magnitude}

    def _adapted(self, x: Tensor, drop: Drop | None) -> Tensor:
        a, b, m = self.lora_a, self.lora_b, self.magnitude
        return dora(x, a, b, m, self.squares, self.base, self.scale, drop)


def adapt(
    decoder: Adaptable,
    method: str,
    rank: int,
    alpha: float,
    seed: int,
    dropout: Dropout | None = None,
) -> dict[str, LoraLinear]:
    """Put an adapter on each linear layer of a decoder's blocks; return them by layer name.

    method: "lora", "rslora" or "dora". Each adapter starts from its own stream, so it does not
    depend on the others.

    Raises:
        InputError: the decoder has no frozen linear layer.
    """
    kind = DoraLinear if method == "dora" else LoraLinear
    scale = alpha / (math.sqrt(rank) if method == "rslora" else rank)
    adapters: dict[str, LoraLinear] = {}
    for name, base in decoder.linears().items():
        if isinstance(base, FrozenLinear):
            adapters[name] = kind(base, rank, scale, seed=seed, name=name, dropout=dropout)
            decoder.replace(name, adapters[name])
    if not adapters:
        raise InputError(
            "the model has no frozen linear layer to put an adapter on",
            fix="use a model of the Llama, Qwen or Gemma families",
        )
    return adapters


def trainable(adapters: Mapping[str, LoraLinear]) -> dict[str, nn.Parameter]:
    """Return what is trained by name (layer and PEFT's name for the matrix), in a fixed order."""
    return {
        f"{layer}.{name}": parameter
        for layer, module in adapters.items()
        for name, parameter in module.learned().items()
    }


@contextmanager
def adapters_off(adapters: Mapping[str, LoraLinear]) -> Iterator[None]:
    """Give the base's own behaviour inside the block: same weights, no second model."""
    before = {name: module.enabled for name, module in adapters.items()}
    try:
        for module in adapters.values():
            module.enabled = False
        yield
    finally:
        for name, module in adapters.items():
            module.enabled = before[name]


def refuse_tied_ends(layers: Iterable[str], *, tied: bool) -> None:
    """Refuse adapters on the matrix that a model's embedding and head share.

    Raises:
        InputError: names the layer.
    """
    ends = [name for name in layers if name.rpartition(".")[2] in _ENDS]
    if tied and ends:
        raise InputError(
            f"an adapter on {ends[0]}, which the model shares between embedding and head",
            fix="adapt the linear layers of the blocks only: tools untie or drop this one",
        )


def row_squares(matrix: FrozenMatrix) -> Tensor:
    """Return ‖Ŵ‖² by row, (rows,) float32, a block of rows at a time."""
    n_rows = matrix.shape[0]
    found = torch.empty(n_rows, device=matrix.device)
    for start in range(0, n_rows, _ROWS):
        stop = min(start + _ROWS, n_rows)
        found[start:stop] = matrix.rows(start, stop, torch.float32).square().sum(1)
    return found
