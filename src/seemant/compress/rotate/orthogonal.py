"""The rotation R of a width d: a Hadamard matrix as far as d has factors of two, signs drawn.

    R = diag(±1) · (C_m ⊗ H_n / √n),    d = m n, n the largest power of two in d, m odd

H_n is Sylvester's Hadamard matrix. C_m is the Hartley matrix cos(2πjk/m) + sin(2πjk/m), over √m:
orthogonal and symmetric, and no entry is far above the others, so the m blocks mix as well
(640 = 5 · 128, 576 = 9 · 64, 896 = 7 · 128). R is orthogonal for every d.
QuaRot (Ashkboos et al., 2404.00456) has the random signs and the Hadamard blocks.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.core.seeds import rng


def rotation(d: int, seed: int) -> Tensor:
    """Return R (d, d) float32 with R Rᵀ = 1; rows x become x R."""
    n = d & -d
    mixed = np.kron(hartley(d // n), hadamard(n))
    signs = rng(seed, "rotation", d).choice(np.array([-1.0, 1.0]), d)
    return torch.from_numpy((signs[:, None] * mixed).astype(np.float32))


def hadamard(n: int) -> NDArray[np.float64]:
    """Return Sylvester's matrix (n, n) over √n, float64; n is a power of two."""
    h: NDArray[np.float64] = np.full((1, 1), 1 / math.sqrt(n))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


def hartley(m: int) -> NDArray[np.float64]:
    """Return the orthogonal Hartley matrix (m, m), float64."""
    angle = 2 * math.pi / m * (np.outer(np.arange(m), np.arange(m)) % m)
    h: NDArray[np.float64] = (np.cos(angle) + np.sin(angle)) / math.sqrt(m)
    return h
