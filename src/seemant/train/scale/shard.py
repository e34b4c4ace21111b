"""FSDP2 under QLoRA: each rank holds a part of the codes, and gathers one block's at a time.

`fully_shard` cuts parameters, not buffers, along their first axis; so a frozen matrix's codes and
scales become parameters that are never trained, each in its own storage type (bytes as they are:
FSDP2 gathers any type, where FSDP1 and bitsandbytes' default needed codes disguised as floats of
the compute type, `bnb_4bit_quant_storage`). A block is one unit: gathered before its forward pass,
freed after it, gathered again for its backward pass. Everything else stays whole on every rank:

- adapters, because they are small: so optimiser, clipping, checkpoints and saved files are those
  of a run without shards, and `World.reduce_gradients` reduces them;
- the embedding, which is the head too: the streamed loss reads it in blocks, and V · d bytes of
  int8 are cheaper than gathering it twice in every micro-batch.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from seemant.core.errors import InputError
from seemant.models.frozen.matrix import FrozenMatrix


def shard(blocks: Iterable[nn.Module], device: str = "cpu") -> None:
    """Cut the frozen codes of every block over all ranks, in place.

    Call it on all ranks alike, with the same weights on each: a rank loads all of them before it
    lets the others' parts go. Every rank must then run the same number of forward and backward
    passes (`check_even`), as each of them gathers.

    Raises:
        InputError: there is no group of ranks, or a block has nothing to cut.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not (dist.is_available() and dist.is_initialized()):
        raise InputError(
            "sharding needs ranks, and this process is alone",
            fix="start with `accelerate launch --num_processes 2 -m seemant train ...`",
        )
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    for block in blocks:
        codes = codes_become_parameters(block)
        if not codes:
            raise InputError(
                f"{type(block).__name__} holds no frozen matrix to shard",
                fix="leave sharding out: method full has no frozen matrices",
            )
        cut = {id(each) for each in codes}
        whole = {each for each in block.parameters() if id(each) not in cut}
        # Said aloud: a block that stands alone is its own root, which FSDP2 would keep gathered.
        fully_shard(block, mesh=mesh, ignored_params=whole, reshard_after_forward=True)


def check_even(accumulation: int, size: int) -> None:
    """Refuse a number of micro-batches that would leave a rank waiting for the others.

    Raises:
        InputError: `accumulation` is no multiple of the number of ranks.
    """
    if accumulation % size:
        raise InputError(
            f"{accumulation} micro-batches a step do not share out over {size} ranks",
            where="--accumulation",
            fix=f"use a multiple of {size}: every rank gathers the others' parts in every pass",
        )


def codes_become_parameters(block: nn.Module) -> list[nn.Parameter]:
    """Turn the buffers of a block's frozen matrices into untrained parameters; return these."""
    made = []
    for matrix in block.modules():
        if not isinstance(matrix, FrozenMatrix):
            continue
        for name, held in list(matrix.named_buffers(recurse=False)):
            del matrix._buffers[name]
            matrix._non_persistent_buffers_set.discard(name)
            parameter = nn.Parameter(held, requires_grad=False)
            matrix.register_parameter(name, parameter)
            made.append(parameter)
    return made


def local_bytes(module: nn.Module) -> int:
    """Return the bytes of parameters and buffers that this rank holds."""
    return sum(_local(each).nbytes for each in [*module.parameters(), *module.buffers()])


def _local(tensor: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
