"""Random layers: weights and the second moments of correlated inputs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

Layer = Callable[..., tuple[NDArray[np.float32], Tensor]]


@pytest.fixture
def layer() -> Layer:
    """Draw weights (rows, columns) and H, the mean of x xᵀ over correlated inputs, from a seed."""

    def draw(rows: int, columns: int, seed: int = 0) -> tuple[NDArray[np.float32], Tensor]:
        rng = np.random.default_rng(seed)
        mixing = rng.standard_normal((columns, columns)) * np.exp(rng.standard_normal(columns))
        x = rng.standard_normal((4 * columns, columns)) @ mixing
        hessian = torch.from_numpy((x.T @ x / len(x)).astype(np.float32))
        return (rng.standard_normal((rows, columns)) * 0.1).astype(np.float32), hessian

    return draw
