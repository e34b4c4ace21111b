"""The terms of each phase of a run: what is held all the time, and what comes and goes.

A run's phases follow one another, so its peak is the largest phase, not their sum. A step is two:
while the loss is made, all that the layers keep is there and no gradient yet; in the backward
pass the loss's space is free again, and gradients pass through one layer at a time.
"""

from collections.abc import Sequence

from seemant.models.decoder.shape import DecoderShape
from seemant.train.config import TrainConfig
from seemant.train.memory import terms

Terms = dict[str, int]
WORDS, LOAD, RESUME = "words", "load", "resume"
LOSS, BACKWARD, EVALUATION = "step, loss", "step, backward", "evaluation"

RUNTIME = "runtime"
LINEARS = "frozen matrices of the blocks"
EMBEDDING = "embedding and head"
VECTORS = "norms and biases"
TRAINED = "trained, gradients, optimiser"
SCRATCH = "scratch for weights"
KERNELS = "compiled products, tables"
INPUTS = "inputs of the layers"
LIVE = "one layer live"
ALL_LIVE = "every layer live"
GRADIENTS = "gradients passing through"
STREAM = "loss, streamed"
LASTING = (RUNTIME, LINEARS, EMBEDDING, VECTORS, TRAINED, SCRATCH, KERNELS)


def phases_of(
    shape: DecoderShape,
    config: TrainConfig,
    *,
    lengths: Sequence[int],
    answers: int,
    runtime_bytes: int,
    token_counts: int | None,
) -> dict[str, Terms]:
    """Return the terms of every phase, in bytes.

    lengths: tokens of each row of a micro-batch; answers: its rows that reach the head.
    """
    c, tokens = terms.BYTES_OF[config.compute], sum(lengths)
    held = held_of(shape, config, runtime_bytes, token_counts)
    n, rank = (shape, config.method, config.rank), 0 if config.method == "full" else config.rank
    kept = terms.kept_by_layers(shape, lengths, c, rank, recomputed=config.checkpointing)
    layers, again = {ALL_LIVE: sum(kept)}, {}
    if config.checkpointing:
        layers = {INPUTS: terms.layer_inputs(shape, tokens, c)}
        again = {LIVE: max(kept)}
    passing = terms.passing_gradients(shape, tokens, c, config.method, config.dropout)
    loss = _loss(shape, config, answers, c)
    reading = {RUNTIME: runtime_bytes, "tokenizer in the making": terms.vocabulary(shape)}
    before = held | {KERNELS: 0, SCRATCH: 0}
    return {
        WORDS: reading,
        LOAD: before | {TRAINED: 0, "rows being read": terms.reading()},
        RESUME: before | {"checkpoint being read": terms.resuming(*n)},
        LOSS: held | layers | {STREAM: loss},
        BACKWARD: held | layers | again | {GRADIENTS: passing},
        EVALUATION: held | {LIVE: terms.forward_layer(shape, tokens, c), STREAM: loss},
    }


def held_of(
    shape: DecoderShape, config: TrainConfig, runtime_bytes: int, token_counts: int | None
) -> Terms:
    """Return what is held from the first step to the last."""
    base, head = kinds(config)
    frozen = config.method != "full"
    c = terms.BYTES_OF[config.compute]
    return {
        RUNTIME: runtime_bytes,
        LINEARS: terms.linears(shape, base) if frozen else 0,
        EMBEDDING: terms.embedding(shape, head) if frozen else 0,
        VECTORS: terms.vectors(shape) if frozen else 0,
        TRAINED: terms.trained(
            shape, config.method, config.rank, config.optimiser, ema=config.ema is not None
        ),
        SCRATCH: terms.scratch(shape, base, head, config.compute, config.vocab_block),
        KERNELS: terms.kernels(shape, c, token_counts),
    }


def kinds(config: TrainConfig) -> tuple[str, str]:
    """Return the kinds of the blocks' matrices and of the embedding."""
    if config.method == "full":
        return "float32", "float32"
    return (
        terms.base_kind(config.base, config.compute),
        terms.base_kind(config.embedding, config.compute),
    )


def _loss(shape: DecoderShape, config: TrainConfig, answers: int, c: int) -> int:
    total = terms.streamed_loss(shape, answers, config.vocab_block, c)
    if config.kl_base:
        total += terms.divergence(shape, answers, config.vocab_block)
    if config.method == "full":
        total += terms.trained_head(shape, answers, config.vocab_block)
    return total
