"""The sampler that llama.cpp and torch share: penalty, temperature, nucleus, one seeded draw.

Ours, so that both engines make the same choice from the same logits, and so that nothing else
(top_k, min_p, a penalty window) changes it silently.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from seemant.models.backends.protocol import Sampling

_FIRST_CANDIDATES = 64  # a nucleus seldom holds more; it grows eightfold until it fits


def choose(
    logits: NDArray[np.float32],
    seen: Collection[int],
    sampling: Sampling,
    rng: np.random.Generator,
) -> int:
    """Return the next token's id.

    logits (V,) are left unchanged; `seen` holds the ids of the whole context, prompt and answer.
    The order is transformers': penalty, temperature, nucleus (llama.cpp's own chain cuts the
    nucleus before the temperature). A greedy choice draws nothing from `rng`.
    """
    if sampling.repetition_penalty != 1.0:
        logits = penalised(logits, seen, sampling.repetition_penalty)
    if sampling.temperature == 0.0:
        return int(logits.argmax())
    ids, probabilities = nucleus(logits, sampling.temperature, sampling.top_p)
    cumulative = np.cumsum(probabilities)
    index = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return int(ids[min(int(index), len(ids) - 1)])


def penalised(
    logits: NDArray[np.float32], seen: Collection[int], penalty: float
) -> NDArray[np.float32]:
    """Return logits (V,) in which each seen token is less likely: l/p where l > 0, else l*p.

    Keskar et al., arXiv 1909.05858, section 4.1, with the sign rule that llama.cpp and
    transformers both use (dividing a negative logit would reward it).
    """
    changed = logits.copy()
    ids = np.fromiter(seen, dtype=np.int64, count=len(seen))
    values = changed[ids]
    changed[ids] = np.where(values > 0, values / penalty, values * penalty)
    return changed


def nucleus(
    logits: NDArray[np.float32], temperature: float, top_p: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the smallest set of likeliest tokens that holds at least `top_p`.

    Holtzman et al., arXiv 1904.09751, equation 2. Returns ids (K,) by falling probability, equal
    ones by rising id, and their probabilities (K,) under softmax(logits / temperature). With
    `top_p` 1 that is every token, by rising id: nothing is sorted.
    """
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    probabilities = weights / weights.sum()
    if top_p == 1.0:
        return np.arange(len(logits)), probabilities
    n_candidates = min(_FIRST_CANDIDATES, len(logits))
    while True:
        ids = _likeliest(probabilities, n_candidates)
        cumulative = np.cumsum(probabilities[ids])
        if cumulative[-1] >= top_p or n_candidates == len(logits):
            break
        n_candidates = min(8 * n_candidates, len(logits))
    size = min(int(np.searchsorted(cumulative, top_p, side="left")) + 1, len(ids))
    return ids[:size], probabilities[ids[:size]]


def _likeliest(weights: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the ids of the `count` largest weights; at a tie on the border the lower ids."""
    if count < len(weights):
        border = np.partition(weights, len(weights) - count)[len(weights) - count]
        ids = np.flatnonzero(weights >= border)
    else:
        ids = np.arange(len(weights))
    order = np.argsort(-weights[ids], kind="stable")[:count]
    return np.asarray(ids[order], dtype=np.int64)
