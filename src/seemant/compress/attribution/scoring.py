"""From final states to what each chunk lost: its sum of KLD, nats."""

import numpy as np
import torch
from torch import Tensor

from seemant.compress.attribution.damage_map import Outcome
from seemant.compress.attribution.decoders import Pair
from seemant.compress.attribution.text import BATCH_TOKENS, Text
from seemant.compress.evaluate.head import Head, divergence
from seemant.stats.bootstrap import Floats


def chunk_sums(pair: Pair, text: Text, reference: Tensor, outcome: Outcome) -> Floats:
    """Return the KLD summed over every chunk (chunks,), nats.

    reference: the reference's states after the last norm (N, d), as the outcome's.
    """
    ours = Head.of(pair.reference)
    theirs = Head.of(pair.candidate) if outcome.candidate_head else ours
    targets = torch.tensor(text.targets)
    found = [
        divergence(reference[rows], ours, outcome.states[rows], theirs, targets[rows]).kld
        for start in range(0, len(targets), BATCH_TOKENS)
        for rows in [slice(start, start + BATCH_TOKENS)]
    ]
    sums: Floats = np.zeros(len(text.langs))
    np.add.at(sums, text.chunk_of_row, np.concatenate(found))
    return sums
