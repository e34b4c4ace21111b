"""Seeds: one number of the user's gives every use its own independent stream."""

from typing import TYPE_CHECKING

from seemant.core.hashing import text_sha256

if TYPE_CHECKING:
    import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 31-bit seed for one use, the same in every process and on every machine."""
    return int(text_sha256("\0".join(map(str, (seed, *names))))[:8], 16) >> 1


def rng(seed: int, *names: str | int) -> "np.random.Generator":
    """Return a generator of that use's own stream."""
    import numpy as np  # `corpus sample` starts without it

    return np.random.default_rng(derive_seed(seed, *names))
