"""One rank of a step over a tiny decoder with sharded codes: run by `test_scale_shard.py`.

python shard_worker.py KIND OUT
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seemant.models.frozen.build import frozen
from seemant.models.frozen.linear import FrozenLinear
from seemant.train.adapt import LoraLinear
from seemant.train.scale.processes import world_here
from seemant.train.scale.shard import local_bytes, shard

D, FF = 32, 64


class Block(nn.Module):
    """A residual layer of two adapted matrices."""

    def __init__(self, kind: str, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, shape in (("up", (FF, D)), ("down", (D, FF))):
            weight = torch.randn(shape, generator=generator) / 6
            base = FrozenLinear(frozen(kind, shape, [weight]))
            adapter = LoraLinear(base, 2, 2.0, seed=seed, name=name)
            with torch.no_grad():
                adapter.lora_b.copy_(torch.randn(shape[0], 2, generator=generator))
            setattr(self, name, adapter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.tanh(self.up(x)))


def main(kind: str, out: Path) -> None:
    torch.set_num_threads(1)
    with world_here() as world:
        between: list[int] = []
        blocks = [Block(kind, seed) for seed in range(3)]
        whole = sum(local_bytes(block) for block in blocks)
        if world.size > 1:
            shard(blocks)
        micros = [torch.randn(n, D, generator=torch.Generator().manual_seed(n)) for n in (3, 5)]
        for number, x in enumerate(micros):
            if number % world.size == world.rank:
                x.requires_grad_(kind != "int4")  # with and without a gradient below the blocks
                for block in blocks:  # each block is computed again in backward
                    x = checkpoint(block, x, use_reentrant=False)
                between.append(sum(local_bytes(block) for block in blocks))
                (x.square().sum() / 8 * world.size).backward()
        named = {
            f"{i}.{name}": parameter
            for i, block in enumerate(blocks)
            for name, parameter in block.named_parameters()
            if parameter.requires_grad
        }
        world.reduce_gradients(named.values())
        save_file({name: p.grad for name, p in named.items()}, out / f"rank_{world.rank}.st")
        held = {
            "whole": whole,
            "between": max(between),
            "held": sum(local_bytes(block) for block in blocks),
        }
        (out / f"rank_{world.rank}.json").write_text(json.dumps(held))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
