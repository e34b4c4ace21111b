"""The processes that train one student together, as the loop sees them; alone, it is a `Lone`."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import nn


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

    def place(self, decoder: nn.Module) -> None:
        """Put an adapted decoder where this rank computes: on its device, sharded or not."""

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, the same everywhere."""

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean over all ranks into every parameter's gradient; a missing one counts 0."""


class Lone:
    """A process by itself."""

    rank = 0
    size = 1

    def place(self, decoder: nn.Module) -> None:
        """Leave it where it is."""

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Return the values themselves."""
        return list(values)

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave the gradients as they are."""
