"""Rows that break quantisers: 1,000 random ones and every special case."""

import numpy as np
from numpy.typing import NDArray


def hard_rows(columns: int = 256, n_random: int = 1000) -> NDArray[np.float32]:
    """Return float32 (rows, columns): random rows of many sizes, then adversarial ones."""
    rng = np.random.default_rng(7)
    random = rng.standard_normal((n_random, columns)) * np.exp(rng.normal(0, 2, (n_random, 1)))
    outlier = np.zeros((1, columns))
    outlier[0, 5] = -3.0
    special = [
        np.zeros((1, columns)),
        outlier,
        np.abs(random[:2]),
        -np.abs(random[:2]),
        np.full((1, columns), 0.7),
        np.full((1, columns), -0.7),
        random[:2] / np.abs(random[:2]).max() * 2.0**-20,  # scales are subnormal fp16 numbers
        random[:2] / np.abs(random[:2]).max() * 2.0**-140,  # subnormal weights
        random[:2] / np.abs(random[:2]).max() * 3e4,  # large scales
        np.tile([1.0, -1.0], (1, columns // 2)),
        np.linspace(-8, 7, columns)[None],
        np.arange(-columns // 2, columns // 2)[None] / 2.0,
        np.repeat(2.0 ** np.arange(columns // 32), 32)[None] * random[:1],  # unequal groups
    ]
    return np.concatenate([random, *special]).astype(np.float32)


def drawn(seed: int, *shape: int) -> NDArray[np.float32]:
    """Return weights within +-8 of some awkward kind: cheaper to draw than hypothesis' arrays."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape) * 2.0 ** rng.integers(-2, 2)
    kind = seed % 8
    if kind == 1:
        w = np.abs(w) * rng.choice([-1, 1])
    elif kind == 2:
        w *= rng.random(shape) < 0.1  # nearly all zeros
    elif kind == 3:
        w.flat[rng.integers(w.size)] = rng.choice([-8, 8])  # one outlier
    elif kind == 4:
        w = np.rint(w * 2) / 2  # ties
    elif kind == 5:
        w = np.broadcast_to(w[..., :1], shape) + 1e-3 * w  # nearly constant
    elif kind == 6:
        w = rng.standard_t(2, shape)
    return np.clip(w, -8, 8).astype(np.float32)
