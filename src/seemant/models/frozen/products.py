"""How fast this machine multiplies in each number type: what decides which one is used.

    python -m seemant.models.frozen.products       # one JSON object on standard output

One product of a Gemma-3-1B block, x (256, d) by W (f, d) transposed, on one thread: W in float32,
in bfloat16, and as int8 codes that are cast to float32 first, as the frozen base does.
bfloat16 wins where the CPU has units for it (AMX, AVX-512 BF16, Arm BF16), and loses elsewhere: by
AVX2 alone it takes four times as long as float32. `core.capability` keeps the answer.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

TOKENS, WIDTH, FF = 256, 1152, 6912
_WARM_UPS, _REPEATS = 2, 5


def measure() -> dict[str, Any]:
    """Return `Capability`'s fields; the types take turns, so that load hits all of them."""
    import torch

    from seemant.models.frozen.gemm import onednn_takes, product

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

    seconds, refused = timed(
        {
            "float32": lambda: product(x, w),
            "bfloat16": lambda: product(x16, w16),
            "int8": from_codes,
        }
    )
    return {
        "products": {
            name: {"s": median(each), "low": min(each), "high": max(each)}
            for name, each in seconds.items()
        },
        "refused": refused,
        "exact_bfloat16": onednn_takes(torch.bfloat16),
        "cuda": torch.cuda.is_available(),
    }


def timed(
    ways: dict[str, Callable[[], object]],
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the seconds of each way that runs, and what the others said when they refused."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    refused: dict[str, str] = {}
    for turn in range(_WARM_UPS + _REPEATS):
        for name, way in ways.items():
            if name in refused:
                continue
            start = time.perf_counter()
            try:
                way()
            except RuntimeError as error:
                refused[name] = str(error).partition("\n")[0]
                del seconds[name]
                continue
            if turn >= _WARM_UPS:
                seconds[name].append(time.perf_counter() - start)
    return seconds, refused


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.stdout.write(json.dumps(measure()) + "\n")
