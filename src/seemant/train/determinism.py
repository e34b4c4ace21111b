"""Settings of torch under which the same run gives the same bytes, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from seemant.core.machine import hardware, packages
from seemant.train.scale.device import fix_workspace


@contextmanager
def deterministic(seed: int, threads: int) -> Iterator[None]:
    """Run a block with fixed threads, deterministic kernels and a seeded global generator."""
    fix_workspace()
    before = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(before)


def bits_depend_on(threads: int) -> dict[str, Any]:
    """Return what decides the last bits of a sum: threads, CPU and library versions."""
    found = hardware()
    versions = packages()
    return {
        "threads": threads,
        "cpu": found["cpu"],
        "flags": found["flags"],
        "torch": versions.get("torch"),
        "transformers": versions.get("transformers"),
    }
