"""What this machine's CPU can do, found by trying: flags say what exists, not what is fast.

The trial is `seemant.models.frozen.products`, in a process of its own, as an instruction that is
missing ends the process. It is made once for each machine and set of libraries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from seemant.core.child import ask_child
from seemant.core.machine_cache import recall, remember

_NAME = "capability"
_TRIAL = "seemant.models.frozen.products"


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds of one matrix product on one thread: the median, the least and the most."""

    s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Capability:
    """What ran, and how fast.

    products: number type -> seconds; a type that does not run is absent. refused: number type ->
    what the library said. exact_bfloat16: whether oneDNN multiplies bfloat16 here; without it the
    products that must lose nothing are made in float32. cuda: whether torch has a GPU to use.
    """

    products: Mapping[str, Spread]
    refused: Mapping[str, str]
    exact_bfloat16: bool
    cuda: bool

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Return the record of a trial's answer."""
        products = {name: Spread(**each) for name, each in said["products"].items()}
        return cls(products, said["refused"], said["exact_bfloat16"], said["cuda"])

    def gains_by(self, number_type: str) -> bool:
        """Return whether products in this type run here and take less time than in float32."""
        mine, plain = self.products.get(number_type), self.products.get("float32")
        return mine is not None and (plain is None or mine.low < plain.low)


def capability(*, again: bool = False) -> Capability:
    """Return what this machine can do; tried now where it never was, or `again`.

    Raises:
        WorldError: the trial itself failed.
    """
    if not again and isinstance(known := recall(_NAME), dict):
        try:
            return Capability.of(known)
        except (KeyError, TypeError, AttributeError):
            pass  # of another version: tried again
    said = ask_child(_TRIAL)
    found = Capability.of(said)
    remember(_NAME, said)
    return found
