"""The order of the data: random, yet with rows of like length together, so little is padding.

Every micro-batch is a pure function of (lengths, batch size, seed, its number), so the data
cursor of a checkpoint is one integer. Grouping by length biases which rows share a step (short
ones meet short ones); windows of 50 micro-batches bound that, as whole epochs stay unbiased.
"""

from collections.abc import Sequence

import numpy as np

from seemant.core.seeds import rng

_WINDOW = 50  # micro-batches within which rows are sorted by length


def epoch_batches(
    lengths: Sequence[int], batch: int, seed: int, epoch: int
) -> list[tuple[int, ...]]:
    """Return one epoch's micro-batches: indices into `lengths`, each exactly once.

    Rows are shuffled, sorted by length inside windows, cut, and the micro-batches shuffled. The
    last one cut may be smaller; none is dropped.
    """
    random = rng(seed, "order", epoch)
    shuffled = random.permutation(len(lengths))
    size = np.asarray(lengths)
    batches: list[tuple[int, ...]] = []
    window = _WINDOW * batch
    for start in range(0, len(shuffled), window):
        part = shuffled[start : start + window]
        part = part[np.argsort(size[part], kind="stable")]
        batches += [tuple(map(int, part[i : i + batch])) for i in range(0, len(part), batch)]
    return [batches[i] for i in random.permutation(len(batches))]


def step_batches(
    lengths: Sequence[int], batch: int, accumulation: int, seed: int, step: int
) -> list[tuple[int, ...]]:
    """Return the micro-batches of optimiser step `step` (0 is the first); epochs run on.

    A step may hold the end of one epoch and the beginning of the next.
    """
    per_epoch = -(-len(lengths) // batch)
    chosen: list[tuple[int, ...]] = []
    plans: dict[int, list[tuple[int, ...]]] = {}
    for number in range(step * accumulation, (step + 1) * accumulation):
        epoch, index = divmod(number, per_epoch)
        if epoch not in plans:
            plans[epoch] = epoch_batches(lengths, batch, seed, epoch)
        chosen.append(plans[epoch][index])
    return chosen
