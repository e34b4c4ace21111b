"""Twins of a rounding error: as large as it, but without its structure.

What the true error costs beyond its twins is structure; what it costs less was steered away from
the directions that matter (error feedback).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from seemant.core.seeds import derive_seed

Twin = Callable[[Tensor, torch.Generator], Tensor]


def gaussian(error: Tensor, generator: torch.Generator) -> Tensor:
    """Return Gaussian noise of the error's shape and Frobenius norm."""
    noise = torch.randn(error.shape, generator=generator)
    return noise.mul_(torch.linalg.norm(error) / torch.linalg.norm(noise))


def permuted(error: Tensor, generator: torch.Generator) -> Tensor:
    """Return the same error (rows, columns) with its columns in another order."""
    return error[:, torch.randperm(error.shape[1], generator=generator)]


TWINS: dict[str, Twin] = {"noise": gaussian, "permuted": permuted}


def twin_weight(w: Tensor, rounded: Tensor, how: str, seed: int, name: str) -> Tensor:
    """Return w + twin(rounded - w); the noise depends on seed, name and kind of twin only."""
    generator = torch.Generator().manual_seed(derive_seed(seed, how, name))
    return w + TWINS[how](rounded - w, generator)
