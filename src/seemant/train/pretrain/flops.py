"""How much of the machine's arithmetic a training run uses.

A step's useful work (Kaplan et al., arXiv 2001.08361, section 2.1; attention counted exactly):

    6 · P · tokens + 6 · layers · heads · head_dim · Σ n²

P: weights of all matrices that multiply, the output head among them, the embedding's look-up not;
6: a multiplication and an addition, forward once and backward twice. n: tokens of each window;
causal attention needs n² / 2 scores, twice (q kᵀ and p v). What is computed again (the streamed
loss, checkpointing) is not counted, nor norms, rotations, the optimiser.

The peak is the best rate of this machine's own matrix product, measured when it is asked for: the
faster of torch's and oneDNN's, over two square sizes, with the run's threads and number type.
"""

import time
from collections.abc import Sequence

from seemant.train.pretrain.config import PretrainConfig

_SIDES = (1024, 2048)
_REPEATS = 3


def matrix_weights(config: PretrainConfig, n_vocab: int) -> int:
    """Return P: the weights of the blocks' matrices and of the output head."""
    wide, thin = config.heads * config.head_dim, config.kv_heads * config.head_dim
    block = 2 * config.d * wide + 2 * config.d * thin + 3 * config.d * config.ff
    return config.layers * block + n_vocab * config.d


def training_flops(config: PretrainConfig, n_vocab: int, lengths: Sequence[int]) -> float:
    """Return the useful floating-point operations of training once on windows of such lengths."""
    tokens = sum(lengths)
    squares = sum(n * n for n in lengths)
    attention = 6 * config.layers * config.heads * config.head_dim * squares
    return 6.0 * matrix_weights(config, n_vocab) * tokens + attention


def peak_flops(compute: str) -> float:
    """Return the best rate of a matrix product here, in operations a second; takes about 1 s."""
    import torch

    from seemant.models.frozen.gemm import product as fast_product

    dtype = getattr(torch, compute)
    best = 0.0
    with torch.no_grad():
        for side in _SIDES:
            a, b = (torch.randn(side, side, dtype=dtype) for _ in range(2))
            for product in (fast_product, torch.mm):
                product(a, b)  # compiled, and in the cache
                for _ in range(_REPEATS):
                    start = time.perf_counter()
                    product(a, b)
                    best = max(best, 2.0 * side**3 / (time.perf_counter() - start))
    return best
