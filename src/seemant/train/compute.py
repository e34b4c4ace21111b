"""The number type that a run really computes in: bfloat16 only where that is a gain."""

import sys
from collections.abc import Callable
from typing import Literal

from seemant.core.capability import Capability, capability
from seemant.core.errors import WorldError

Compute = Literal["float32", "bfloat16"]


def to_stderr(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")


def compute_here(
    asked: Compute, *, gpu: bool = False, say: Callable[[str], object] = to_stderr
) -> Compute:
    """Return the type to compute in: float32 where this machine does not gain by bfloat16.

    gpu: whether the run goes to a GPU where there is one; every GPU that torch supports gains.
    say: is told, in one line, that another type than the asked one is taken, and why.
    """
    if asked == "float32":
        return asked
    try:
        can = capability()
    except WorldError as error:
        say(f"float32 in place of {asked}: what this CPU can do could not be tried ({error.what})")
        return "float32"
    if (gpu and can.cuda) or can.gains_by(asked):
        return asked
    say(f"float32 in place of {asked}: {_why(can, asked)}")
    return "float32"


def _why(can: Capability, asked: str) -> str:
    if asked in can.refused:
        return f"this CPU does not run it ({can.refused[asked]})"
    ratio = can.products[asked].low / can.products["float32"].low
    return f"on this CPU a product in {asked} takes {ratio:.1f} times as long"
