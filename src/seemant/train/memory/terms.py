"""The memory of a training run, term by term, counted from a configuration: nothing is built.

All functions return bytes. Letters: d width, f width of the gated layer, V vocabulary, L layers,
T tokens of a micro-batch, M rows of it that reach the head, B vocabulary rows of a loss block,
c bytes of the compute type, r rank, P trained numbers. Neither torch nor numpy is imported here.
"""

from collections.abc import Sequence

from seemant.models.decoder.kernel_cache import KERNEL_BYTES
from seemant.models.decoder.saved import KEEP, KEEP_RECOMPUTED, blocks, saved_bytes_per_layer
from seemant.models.decoder.shape import DecoderShape
from seemant.models.frozen.size import n_bytes_of

BYTES_OF = {"float32": 4, "bfloat16": 2}
KERNELS = 128  # compiled products that a worker keeps; a step over rows of one length uses 15 to 65

# Bytes a trained number besides itself and its gradient. AdamW: two float32 moments. adamw8bit:
# two of one byte and a float32 scale for each of 256 (Dettmers et al., arXiv 2110.02861). Lion:
# one float32. Adafactor: a row and a column of each matrix (Shazeer & Stern, arXiv 1804.04235).
_STATE = {"adamw": 8.0, "adamw8bit": 2 * (1 + 4 / 256), "lion": 4.0, "adafactor": 0.0}
_WORD = 1250  # a token of the vocabulary while its tokenizer is built; 1.0 and 1.2 KB measured
_READ = 3 * 2**22  # a block of rows, its float32 form and what is made of it
_FIRST = 12_000_000  # tables, masks and heap of the first step; 8 to 14 MB measured on six shapes


def base_kind(base: str, compute: str) -> str:
    """Return the kind of frozen matrix that a setting means: "float" is the compute type."""
    return compute if base in ("float", "auto") else base


def linears(shape: DecoderShape, kind: str) -> int:
    """Frozen matrices of the blocks: codes and scales, exactly as they are held."""
    return shape.layers * sum(n_bytes_of(kind, each) for each in shape.layer_linears().values())


def embedding(shape: DecoderShape, kind: str) -> int:
    """Embedding, V rows of d, and the head where it is not the same matrix."""
    one = n_bytes_of(kind, (shape.vocab, shape.d))
    return one if shape.tied else 2 * one


def vectors(shape: DecoderShape) -> int:
    """Norms and biases, float32: what is left of the parameters besides matrices."""
    return 4 * (shape.n_parameters() - sum(rows * columns for rows, columns in _matrices(shape)))


def n_trainable(shape: DecoderShape, method: str, rank: int) -> int:
    """P: Σ r(in + out) over the linear layers of the blocks; DoRA adds out; `full` is every one."""
    if method == "full":
        return shape.n_parameters()
    sizes = shape.layer_linears().values()
    adapters = sum(rank * (rows + columns) for rows, columns in sizes)
    lengths = sum(rows for rows, _ in sizes) if method == "dora" else 0
    return shape.layers * (adapters + lengths)


def trained(shape: DecoderShape, method: str, rank: int, optimiser: str, *, ema: bool) -> int:
    """What is trained, its gradients, the optimiser's state: 16·P for AdamW; EMA takes 4·P more."""
    n = n_trainable(shape, method, rank)
    state = _STATE[optimiser] * n
    if optimiser == "adafactor":
        state = 4.0 * sum(sum(each) for each in trained_matrices(shape, method, rank))
    # DoRA keeps the squared length of each frozen row, too.
    squares = 4 * (n - n_trainable(shape, "lora", rank)) if method == "dora" else 0
    return int((8 + (4 if ema else 0)) * n + state) + squares


def trained_matrices(shape: DecoderShape, method: str, rank: int) -> list[tuple[int, int]]:
    """Return the (rows, columns) of every trained matrix."""
    if method == "full":
        return _matrices(shape)
    sizes = shape.linears().values()
    return [each for rows, columns in sizes for each in ((rank, columns), (rows, rank))]


def layer_inputs(shape: DecoderShape, tokens: int, c: int) -> int:
    """Inputs of the layers that are computed again, and the last one's output: (L + 1)·T·d·c."""
    return (shape.layers + 1) * tokens * shape.d * c


def kept_by_layers(
    shape: DecoderShape, lengths: Sequence[int], c: int, rank: int, *, recomputed: bool
) -> list[int]:
    """What each layer keeps for its backward pass: `models.decoder.saved`'s list, by layer.

    The attention weights of short rows are kept and those of long ones are not, so a batch that
    may hold rows of any length up to `lengths` is counted with the longest that are kept.
    """
    keep = KEEP_RECOMPUTED if recomputed else KEEP
    extra = [min(each, keep) for each in lengths if each > keep]
    by_window = {
        window: saved_bytes_per_layer(
            shape, lengths, c, rank=rank, window=window, recomputed=recomputed
        )
        + sum(_weights(shape, length, c, window) for length in extra)
        for window in set(shape.windows)
    }
    return [by_window[window] for window in shape.windows]


def passing_gradients(shape: DecoderShape, tokens: int, c: int, method: str, dropout: float) -> int:
    """Gradients that live for a moment where they are largest, in the gated layer's backward.

    T·c·(2f + 3d) for GELU's fused pass and T·c·(3f + 3d) for SiLU's, whose input's copy is freed
    by then; DoRA makes its product again; dropout its mask and the masked input; a matrix that is
    trained itself gets a fresh gradient before it is added.
    """
    wide = (2 if shape.activation == "gelu_tanh" else 3) * shape.ff + 3 * shape.d
    if method == "dora":
        wide += shape.ff
    total = tokens * wide * c
    if dropout:
        total += tokens * shape.ff * (c + 5)
    if method == "full":
        total += (4 + c) * shape.d * shape.ff
    return total


def forward_layer(shape: DecoderShape, tokens: int, c: int) -> int:
    """What one layer holds at once where nothing is kept for a backward pass: T·c·(4d + 3f)."""
    return tokens * c * (4 * shape.d + 3 * shape.ff)


def scratch(shape: DecoderShape, base: str, head: str, compute: str, block: int) -> int:
    """The one buffer that weights are rebuilt in: c·max(largest linear, B·d) of what is not c."""
    c = BYTES_OF[compute]
    largest = max(rows * columns for rows, columns in shape.layer_linears().values())
    of_linears = 0 if base == compute else c * largest
    of_head = 0 if head == compute else c * min(block, shape.vocab) * shape.d
    return max(of_linears, of_head)


def streamed_loss(shape: DecoderShape, answers: int, block: int, c: int) -> int:
    """Logits of one block and their products' copies, M·B·8 (bfloat16: 12); M·d·(4 + 2c) beside.

    bfloat16 logits are made of two products in float32, so that they are not rounded.
    """
    width = min(block, shape.vocab)
    return answers * (width * (8 if c == 4 else 12) + shape.d * (4 + 2 * c))


def divergence(shape: DecoderShape, answers: int, block: int) -> int:
    """What KL to the base takes beside the loss: two heads read side by side, M·B·32."""
    return 32 * answers * min(block, shape.vocab)


def trained_head(shape: DecoderShape, answers: int, block: int) -> int:
    """A trained head's gradient before it is added, 4·V·d; M·V·4 where V is a single block."""
    one_block = 4 * answers * shape.vocab if shape.vocab <= block else 0
    return 4 * shape.vocab * shape.d + one_block


def full_logits(shape: DecoderShape, answers: int, copies: int = 4) -> int:
    """What a loss over full logits would take: k·M·V·4 with k = 3..5 by path; ours never does."""
    return copies * answers * shape.vocab * 4


def kernels(shape: DecoderShape, c: int, token_counts: int | None) -> int:
    """Compiled products that the matrix library keeps, and what the first step leaves.

    token_counts: how many different numbers of tokens the micro-batches have; None: many.
    """
    # float32 goes through torch.mm, which compiles nothing, but for the frozen matrices and, with
    # a lone key head, attention: 15 or 40 a token count; bfloat16 products are all compiled.
    each = 36 if c == 2 else 40 if shape.kv_heads == 1 else 15
    n = KERNELS if token_counts is None else min(KERNELS, each * token_counts)
    return _FIRST + KERNEL_BYTES * n


def vocabulary(shape: DecoderShape) -> int:
    """The tokenizer while it is built; it is gone before the weights come."""
    return _WORD * shape.vocab


def reading() -> int:
    """A block of rows of a file on its way to codes."""
    return _READ


def resuming(shape: DecoderShape, method: str, rank: int) -> int:
    """A checkpoint's tensors beside what they are read into: 12·P."""
    return 12 * n_trainable(shape, method, rank)


def _matrices(shape: DecoderShape) -> list[tuple[int, int]]:
    ends = [(shape.vocab, shape.d)] * (1 if shape.tied else 2)
    return [*shape.linears().values(), *ends]


def _weights(shape: DecoderShape, length: int, c: int, window: int | None) -> int:
    """Attention weights of one row that is short enough for them to be kept."""
    area = sum((stop - start) * (stop - first) for start, stop, first in blocks(length, window))
    return c * shape.heads * area
