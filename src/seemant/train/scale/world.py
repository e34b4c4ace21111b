"""The processes that train one student together, as the loop sees them; alone, it is a `Lone`."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import nn

from seemant.train.scale.device import device_of_environment, make_ready


class World(Protocol):
    """One of `size` processes that take turns in the micro-batches of every step.

    Each micro-batch belongs to one rank (`number % size`); order and settings are the same
    everywhere, so any number of ranks takes the same steps.
    """

    @property
    def rank(self) -> int:
        """This process's number, 0 is the one that writes files."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def shards(self) -> bool:
        """Whether every pass gathers the others' parts, so that all must make the same passes."""

    def place(self, decoder: nn.Module) -> None:
        """Put an adapted decoder where this rank computes: on its device, sharded or not."""

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, the same everywhere."""

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean over all ranks into every parameter's gradient; a missing one counts 0."""


class Lone:
    """A process by itself, on a device of its choice: by default a GPU where there is one."""

    rank = 0
    size = 1
    shards = False

    def __init__(self, device: str | torch.device | None = None) -> None:
        self.device = device

    def place(self, decoder: nn.Module) -> None:
        """Move it to the device."""
        device = make_ready(self.device or device_of_environment())
        if device.type != "cpu":
            decoder.to(device)

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Return the values themselves."""
        return list(values)

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients as they are."""
