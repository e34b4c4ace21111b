"""Oscillating codes: found by their flips, and held for the rest of the run.

A latent at a border of two cells is pushed across it by either code's gradient, so the code flips
to and fro, and the last step decides at random which one is exported (Nagel et al., 2203.08086).
The flips of each code are counted for a while; codes that flipped twice or more are then held, and
scales and the other codes settle around them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from seemant.compress.qat.linear import QatLinear

LEAST_FLIPS = 2  # one is a weight on its way; the second brings it back, or on at once


class Flips:
    """Counts flips from `start` to `freeze`; both are no-ops for layers without a latent.

    last: each layer's codes when they were last looked at; count: its flips since, uint8.
    """

    def __init__(self, layers: Mapping[str, QatLinear]) -> None:
        self.layers = {name: each for name, each in layers.items() if each.latent is not None}
        self.last: dict[str, Tensor] = {}
        self.count: dict[str, Tensor] = {}

    def start(self) -> None:
        """Begin to count."""
        for name, layer in self.layers.items():
            self.last[name] = layer.codes().n
            self.count[name] = torch.zeros_like(self.last[name])

    def note(self) -> None:
        """Look at the codes after a step; nothing where counting has not begun or has ended."""
        for name in self.last:
            now = self.layers[name].codes().n
            flipped = now != self.last[name]
            self.count[name] += flipped & (self.count[name] < 255)
            self.last[name] = now

    def freeze(self) -> int:
        """Hold what oscillated, and stop counting; return how many codes that were."""
        n = 0
        for name, count in self.count.items():
            which = count >= LEAST_FLIPS
            self.layers[name].hold(which)
            n += int(which.sum())
        self.last, self.count = {}, {}
        return n

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps, held codes included, all uint8."""
        found: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            if layer.held is not None:
                found |= {f"held/{name}": layer.held.to(torch.uint8), f"fixed/{name}": layer.fixed}
        found |= {f"last/{name}": each for name, each in self.last.items()}
        return found | {f"count/{name}": each for name, each in self.count.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self.last = {n[5:]: each for n, each in tensors.items() if n.startswith("last/")}
        self.count = {n[6:]: each for n, each in tensors.items() if n.startswith("count/")}
        for name, layer in self.layers.items():
            if (held := tensors.get(f"held/{name}")) is not None:
                layer.held, layer.fixed = held.bool(), tensors[f"fixed/{name}"]
