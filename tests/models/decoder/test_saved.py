"""The count of what a block keeps is what autograd really keeps, storage by storage."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.saved import KEEP, blocks, saved_bytes, saved_bytes_per_layer
from seemant.models.decoder.shape import shape_of_config
from seemant.models.decoder.trainable import trainable_decoder
from seemant.models.frozen.linear import FrozenLinear
from tests.models.decoder.variants import VARIANTS, hf_model, ours

RANK = 3
CASES = ["llama", "llama, one key head, wide heads", "qwen2", "qwen3", "gemma3"]


class Adapted(nn.Module):
    """A linear with a low-rank product beside it, which keeps x and x Aᵀ as train's does."""

    def __init__(self, base: FrozenLinear) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.randn(RANK, base.in_features))
        self.b = nn.Parameter(torch.randn(base.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + _LowRank.apply(x, self.a, self.b)


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        xa = x @ a.T.to(x.dtype)
        ctx.save_for_backward(x, xa, a, b)
        return xa @ b.T.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, xa, a, b = ctx.saved_tensors
        g_b = g @ b.to(g.dtype)
        return g_b @ a.to(g.dtype), (g_b.T @ x).float(), (g.T @ xa).float()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
@pytest.mark.parametrize("lengths", [[70], [30, 30, 9], [KEEP + 20]])
@pytest.mark.parametrize("rank", [RANK, None])
def test_the_count_is_what_autograd_keeps(
    name: str, compute: str, lengths: list[int], rank: int | None
) -> None:
    decoder = ours(hf_model(name), compute=compute)
    if rank is not None:
        for each, linear in decoder.linears().items():
            assert isinstance(linear, FrozenLinear)
            decoder.replace(each, Adapted(linear))
    shape, size = decoder.shape, decoder.compute.itemsize
    for layer in (1, shape.layers - 1):  # Gemma's last one here attends to everything
        wanted = saved_bytes_per_layer(shape, lengths, size, rank=rank, window=shape.windows[layer])
        assert _kept(decoder, layer, lengths) == wanted


def test_the_count_of_a_trained_block_is_what_autograd_keeps() -> None:
    model = hf_model("qwen3")
    decoder = trainable_decoder(shape_of_config(model.config.to_dict()), seed=0)
    wanted = saved_bytes_per_layer(decoder.shape, [40], 4, rank=0)
    assert _kept(decoder, 1, [40]) == wanted


def test_with_checkpointing_a_block_keeps_nothing_but_its_input() -> None:
    decoder = ours(hf_model("gemma3"))
    decoder.checkpointing = True
    x = torch.randn(50, 64, requires_grad=True)
    kept = _storages(lambda: decoder.run(x, [50]), decoder)
    of_last_norm = 50 * (64 + 1) * 4
    assert sum(kept.values()) == decoder.shape.layers * 50 * 64 * 4 + of_last_norm
    plain = saved_bytes(decoder.shape, [50], 4, rank=None, checkpointing=False)
    checked = saved_bytes(decoder.shape, [50], 4, rank=None, checkpointing=True)
    one = saved_bytes_per_layer(decoder.shape, [50], 4, rank=None)
    assert checked == decoder.shape.layers * 50 * 64 * 4 + one
    assert plain == sum(
        saved_bytes_per_layer(decoder.shape, [50], 4, rank=None, window=window)
        for window in decoder.shape.windows
    )
    assert checked < plain


@pytest.mark.parametrize("name", VARIANTS)
def test_more_tokens_or_rank_never_keep_less(name: str) -> None:
    shape = shape_of_config(hf_model(name).config.to_dict())

    def count(n: int, rank: int | None) -> int:
        return saved_bytes(shape, [n], 2, rank=rank, checkpointing=False)

    assert count(10, None) < count(10, 0) < count(10, 4) < count(10, 8) < count(20, 8)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 512, 513, 2000])
@pytest.mark.parametrize("window", [None, 1, 64, 100])
def test_blocks_cover_every_row_once_and_every_key_that_it_sees(
    length: int, window: int | None
) -> None:
    found = list(blocks(length, window))
    assert len(found) <= 8
    assert [start for start, _, _ in found] == [0, *[stop for _, stop, _ in found[:-1]]]
    assert found[-1][1] == length
    for start, stop, first in found:
        assert first == (0 if window is None else max(0, start - window + 1)) < stop


def _kept(decoder: Decoder, layer: int, lengths: list[int]) -> int:
    x = torch.randn(sum(lengths), decoder.shape.d).to(decoder.compute).requires_grad_()
    rows = decoder.rows_of(lengths, x.device)
    tables = [each for pair in (*rows.q_tables, *rows.k_tables) for each in pair]
    kept = _storages(lambda: decoder.model.layers[layer](x, rows), decoder, *tables)
    return sum(kept.values())


def _storages(run: Callable[[], Tensor], model: nn.Module, *own: Tensor) -> dict[int, int]:
    """Bytes by address of the storages kept for backward, the model's own left out."""
    owned = {
        each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers(), *own)
    }
    tensors = []

    def pack(tensor: Tensor) -> Tensor:
        tensors.append(tensor)  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = run()
    assert out.requires_grad
    storages = [each.untyped_storage() for each in tensors]
    return {s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in owned}
