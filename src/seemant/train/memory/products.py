"""How fast this machine multiplies in each number type: what decides which one a plan takes.

    python -m seemant.train.memory.products       # one JSON object on standard output

One product of a Gemma-3-1B block, x (256, d) by W (f, d) transposed, on one thread: W in float32,
in bfloat16, and as int8 codes that are cast to float32 first, as the frozen base does.
bfloat16 wins where the CPU has units for it (AMX, AVX-512 BF16, Arm BF16), and loses elsewhere.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from seemant.train.memory.child import ask_child
from seemant.train.memory.machine_cache import recall, remember

TOKENS, WIDTH, FF = 256, 1152, 6912
_NAME = "products"
_WARM_UPS, _REPEATS = 2, 5


def product_seconds(*, again: bool = False) -> dict[str, Any]:
    """Return `measure()` of a child process: once a machine, or now where `again`."""
    known = None if again else recall(_NAME)
    if known is None:
        known = ask_child("seemant.train.memory.products")
        remember(_NAME, known)
    found: dict[str, Any] = known
    return found


def measure() -> dict[str, Any]:
    """Return {type: {"s": median, "low": ..., "high": ...}}; types take turns, so load hits all."""
    import torch

    from seemant.models.frozen.gemm import product

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(TOKENS, WIDTH, generator=generator)
    w = torch.randn(FF, WIDTH, generator=generator)
    x16, w16 = x.bfloat16(), w.bfloat16()
    scale = w.abs().amax(1) / 127
    codes = (w / scale.unsqueeze(1)).round().to(torch.int8)
    scratch = torch.empty_like(w)

    def from_codes() -> object:
        return product(x, scratch.copy_(codes)).mul_(scale)

    ways: dict[str, Callable[[], object]] = {
        "float32": lambda: product(x, w),
        "bfloat16": lambda: product(x16, w16),
        "int8": from_codes,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_WARM_UPS + _REPEATS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn >= _WARM_UPS:
                seconds[name].append(time.perf_counter() - start)
    return {
        name: {"s": median(each), "low": min(each), "high": max(each)}
        for name, each in seconds.items()
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.stdout.write(json.dumps(measure()) + "\n")
