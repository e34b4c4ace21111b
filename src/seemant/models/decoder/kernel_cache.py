"""Holding oneDNN's kernel caches small. Nothing here imports torch.

oneDNN compiles a kernel for every new shape (M, N, K) of a product: 0.4 ms and 0.6 MB each, kept
in two caches of 1,024 entries. A training run over rows of mixed lengths sees hundreds of shapes,
so without a bound the process grows by hundreds of megabytes; bfloat16 products of plain
`torch.mm` do the same.
"""

import os

CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # oneDNN's, and torch's over it
KERNEL_BYTES = 620_000  # of one cached kernel in both caches; measured, the same for every shape


def bound_caches(n_kernels: int) -> None:
    """Let oneDNN keep this many kernels: to be called before the process's first product.

    A training step of one row length uses 60 to 130; with fewer, each step compiles them anew.
    Values that the user set in the environment stay.
    """
    for name in CACHES:
        os.environ.setdefault(name, str(n_kernels))
