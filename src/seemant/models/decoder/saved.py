"""What the blocks keep in memory for their backward pass, counted. Nothing here imports torch.

The list is in `block.py`; a test holds the count to the storages that autograd really keeps.
"""

from collections.abc import Iterator, Sequence

from seemant.models.decoder.shape import DecoderShape

KEEP = 256  # tokens of a row whose attention weights P are kept; P of longer rows is made again
KEEP_RECOMPUTED = 1024  # the same with checkpointing, where P lives for a moment only

_MIN_BLOCK = 64  # query rows of a block of attention: with fewer the products get too small
_MAX_BLOCKS = 8  # of one row: each is a new shape, for which oneDNN compiles and keeps kernels


def saved_bytes(
    shape: DecoderShape,
    lengths: Sequence[int],
    c: int,
    *,
    rank: int | None,
    checkpointing: bool,
) -> int:
    """Return the most that all blocks together keep at once, in bytes.

    With checkpointing that is every block's input and, in backward, one whole block; without it
    every block's list. lengths: tokens of each row of the micro-batch. c: bytes of the compute
    type. rank: of the adapters on all linears; 0: the linears themselves are trained; None:
    nothing is, and only the norms, attention and gates keep something.
    """
    layers = [
        saved_bytes_per_layer(shape, lengths, c, rank=rank, window=window, recomputed=checkpointing)
        for window in shape.windows
    ]
    if checkpointing:
        return shape.layers * sum(lengths) * shape.d * c + max(layers)
    return sum(layers)


def saved_bytes_per_layer(
    shape: DecoderShape,
    lengths: Sequence[int],
    c: int,
    *,
    rank: int | None,
    window: int | None = None,
    recomputed: bool = False,
) -> int:
    """Return what one block keeps between forward and backward, its input included, in bytes.

    window: the block's own. recomputed: by checkpointing, just before its backward. The model's
    first block keeps T·d·c less where the embedding is frozen: nothing asks for its gradient.
    """
    tokens = sum(lengths)
    q, kv, d = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.d
    wide = 2 * d + q + 2 * kv + 2 * shape.ff  # input, middle of the stream; q, k, v; gate, up
    numbers = 2  # float32, of a row: r of the norms
    if rank is not None:  # inputs of the linears, and what the adapters make of them
        wide += 2 * d + q + shape.ff + len(shape.layer_linears()) * rank
    if shape.gemma_norms:
        wide, numbers = wide + 2 * d, numbers + 2
    if shape.qk_norm:
        wide, numbers = wide + q + kv, numbers + shape.heads + shape.kv_heads
    total = tokens * (c * wide + 4 * numbers)
    if shape.qk_norm:
        total += 4 * shape.head_dim  # q's norm times its factor
    keep = KEEP_RECOMPUTED if recomputed else KEEP
    for length in lengths:
        if length <= keep:
            total += (
                c
                * shape.heads
                * sum(
                    (stop - start) * (stop - first) for start, stop, first in blocks(length, window)
                )
            )
    return total


def blocks(length: int, window: int | None) -> Iterator[tuple[int, int, int]]:
    """Yield attention's blocks of a row: query rows start to stop, which see keys from `first`."""
    step = _MIN_BLOCK * max(1, -(-length // (_MIN_BLOCK * _MAX_BLOCKS)))
    for start in range(0, length, step):
        first = 0 if window is None else max(0, start - window + 1)
        yield start, min(start + step, length), first
