"""One rank of a step over a tiny model: run by `test_scale.py` in real processes.

    python scale_worker.py WORK.json OUT      # writes OUT/rank_K.safetensors and .json

WORK holds micro-batches of rows [ids, n_prompt]; number m belongs to rank m % size.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from seemant.train.scale.processes import world_here


class Tiny(nn.Module):
    """Embedding, one adapter on a frozen layer, and an adapter that no row ever reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(20, 8).requires_grad_(False)
        self.a = nn.Parameter(torch.randn(2, 8))
        self.b = nn.Parameter(torch.randn(8, 2))
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        h = self.embed(ids)
        return torch.tanh(h + h @ self.a.T @ self.b.T) @ self.embed.weight.T


def losses(model: Tiny, row: tuple[list[int], int]) -> torch.Tensor:
    ids, n_prompt = torch.tensor(row[0]), row[1]
    logits = model(ids[:-1])[n_prompt - 1 :]
    return nn.functional.cross_entropy(logits, ids[n_prompt:], reduction="none")


def main(work: Path, out: Path) -> None:
    torch.set_num_threads(1)
    micros = json.loads(work.read_text())
    with world_here() as world:
        model = Tiny()
        mine = [m for number, m in enumerate(micros) if number % world.size == world.rank]
        own = sum(len(ids) - n for micro in mine for ids, n in micro)
        (n_tokens,) = world.sum_floats([own])
        total = 0.0
        for micro in mine:
            parts = [losses(model, row) for row in micro]
            loss = torch.cat(parts).sum() / n_tokens if parts else model.a.sum() * 0
            total += float(loss.detach())
            (loss * world.size).backward()
        parameters = [model.a, model.b, model.unused]
        world.reduce_gradients(parameters)
        (total,) = world.sum_floats([total])
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        save_file(gradients, out / f"rank_{world.rank}.safetensors")
        said = {"loss": total, "size": world.size, "tokens": n_tokens}
        (out / f"rank_{world.rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
