"""The processes that train one student together: torch's group behind the loop's `World`.

The same config runs alone, under `torchrun` or `accelerate launch`, and in Ray Train; each of them
sets RANK and WORLD_SIZE (or has made the group already), and the numbers of a run do not depend on
which. A step has the same micro-batches whatever the ranks: number m goes to rank m % R, its loss
is already divided by the step's whole count of tokens N and multiplied by R, and the mean of the
ranks' gradients is then the gradient of one process:

    g = (1 / R) Σ_k Σ_{m % R = k} R · ∂(Σ_i w_i ℓ_i / N)

Only what is trained is reduced. A rank without a micro-batch counts as zero.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from seemant.core.errors import InputError, WorldError
from seemant.train.scale.device import make_ready
from seemant.train.scale.world import Lone, World

_BUCKET_BYTES = 25_000_000  # of gradients that travel together, as torch's own DDP
_TIMEOUT = timedelta(minutes=30)  # a rank may load its model, or look at its probes, for long


@dataclass(frozen=True, slots=True)
class ProcessWorld:
    """One of `size` processes of torch's default group.

    device: where sums over ranks are made: "cpu", or this process's GPU. shards: whether the base
    is cut over the ranks (`shard.py`).
    """

    rank: int
    size: int
    device: torch.device
    shards: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks in float64, the same everywhere."""
        sums = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return [float(each) for each in sums.tolist()]

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean over all ranks into every parameter's gradient; a missing one counts 0."""
        for bucket in _buckets(parameters):
            flat = torch.cat([_gradient(each).reshape(-1) for each in bucket])
            dist.all_reduce(flat)
            flat.div_(self.size)
            parts = torch.split(flat, [each.numel() for each in bucket])
            for parameter, part in zip(bucket, parts, strict=True):
                if parameter.grad is None:
                    parameter.grad = part.view_as(parameter).clone()
                else:
                    parameter.grad.copy_(part.view_as(parameter))

    def place(self, decoder: Any) -> None:
        """Bring an adapted decoder to where this rank computes, and cut it where asked."""
        if self.device.type != "cpu":
            decoder.to(self.device)
        if self.shards:
            from seemant.train.scale.shard import shard

            shard(decoder.model.layers, self.device.type)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        dist.barrier()

    def from_main(self, word: str = "") -> str:
        """Return the word that rank 0 says; what the others give is not looked at."""
        said = [word]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def same_everywhere(self, words: str) -> bool:
        """Return whether all ranks hold the same text: a plan, a hash of data or of a base."""
        held: list[str | None] = [None] * self.size
        dist.all_gather_object(held, words)
        return len(set(held)) == 1


@contextmanager
def world_here(device: str | torch.device = "cpu", *, shards: bool = False) -> Iterator[World]:
    """Give the world that this process belongs to: a `Lone` without ranks in the environment.

    The group is made here, and ended here, unless a caller (Ray Train, `execute_ranks`) has made
    it already. A rank's GPU becomes its own before the group is made.

    Raises:
        InputError: RANK and WORLD_SIZE do not fit each other.
        WorldError: the other ranks cannot be reached.
    """
    if dist.is_available() and dist.is_initialized():
        yield _world(device, shards)
        return
    if size_of_environment() == 1:
        yield Lone(device)
        return
    backend = "nccl" if make_ready(device).type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise WorldError(
            f"the ranks cannot reach each other: {error}",
            where=f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}",
            fix="start all ranks with one `accelerate launch` or `torchrun`",
        ) from error
    try:
        yield _world(device, shards)
    finally:
        dist.destroy_process_group()


def size_of_environment(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many ranks the launcher says there are: WORLD_SIZE, 1 without it.

    Raises:
        InputError: it is no number, or RANK is missing or not below it.
    """
    try:
        size = int(environment.get("WORLD_SIZE", "1"))
        rank = int(environment["RANK"]) if size > 1 else 0
    except (KeyError, ValueError) as error:
        raise InputError(
            f"RANK={environment.get('RANK')!r} and WORLD_SIZE={environment.get('WORLD_SIZE')!r} "
            "are not those of a launcher",
            fix="start the ranks with `accelerate launch` or `torchrun`, or unset WORLD_SIZE",
        ) from error
    if not 0 <= rank < size:
        raise InputError(
            f"RANK={rank} is not below WORLD_SIZE={size}",
            fix="start the ranks with `accelerate launch` or `torchrun`",
        )
    return size


def wants_shards(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the launcher was asked for FSDP (`accelerate launch --use_fsdp`)."""
    return environment.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def _world(device: str | torch.device, shards: bool) -> World:
    if dist.get_world_size() == 1:
        return Lone(device)
    return ProcessWorld(dist.get_rank(), dist.get_world_size(), make_ready(device), shards)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield runs of parameters of one type and device, about `_BUCKET_BYTES` each."""
    bucket: list[nn.Parameter] = []
    held = 0
    for parameter in parameters:
        other = bucket and (
            parameter.dtype != bucket[0].dtype or parameter.device != bucket[0].device
        )
        if bucket and (other or held + parameter.nbytes > _BUCKET_BYTES):
            yield bucket
            bucket, held = [], 0
        bucket.append(parameter)
        held += parameter.nbytes
    if bucket:
        yield bucket
