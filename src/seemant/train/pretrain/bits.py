"""Bits per byte: how well held-out text is predicted, whatever the vocabulary.

    bits per byte = Σ nats of its tokens, the end of each document among them
                    / (ln 2 · (bytes of its text + one for each document's end))

A loss per token falls when tokens get shorter; this does not. It is also the rate at which the
model would compress a file whose lines are the documents. The unigram baseline is what the same
vocabulary gives without any context.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seemant.core.interval import Interval
from seemant.core.records import LANGUAGES
from seemant.stats.clusters import cluster_ratio
from seemant.train.pretrain.windows import Windows


def bits_per_byte(nats: Sequence[float], windows: Windows) -> dict[str, Interval]:
    """Return each language's bits per byte, the interval over documents.

    nats: (W,) summed over each window's targets.
    """
    n_documents = len(windows.documents)
    total = np.zeros(n_documents)
    np.add.at(total, windows.document, np.asarray(nats, np.float64))
    size = np.array([len(each.text.encode()) + 1.0 for each in windows.documents])
    lang = np.array([each.lang for each in windows.documents])
    return {
        each: cluster_ratio(total[own] / math.log(2), size[own], n=int(own.sum()), over="documents")
        for each in LANGUAGES
        if n_documents and (own := lang == each).any()
    }


def unigram_nats(train: Windows, heldout: Windows, n_vocab: int) -> NDArray[np.float64]:
    """Return the nats of each held-out window under the training tokens' frequencies, (W,).

    Every token is counted once more than it occurs (Laplace), so none is impossible.
    """
    counts = np.bincount(_targets(train), minlength=n_vocab) + 1.0
    of_token = -np.log(counts / counts.sum())
    return np.array(
        [
            of_token[heldout.ids[start + 1 : start + 1 + length]].sum()
            for start, length in zip(heldout.starts, heldout.lengths, strict=True)
        ]
    )


def bytes_a_token(windows: Windows) -> Mapping[str, float]:
    """Return each language's bytes of text for one token, the document's end counted in both."""
    lang = np.array([each.lang for each in windows.documents])
    size = np.array([len(each.text.encode()) + 1 for each in windows.documents])
    tokens = np.zeros(len(lang))
    np.add.at(tokens, windows.document, windows.lengths)
    return {
        each: float(size[lang == each].sum() / tokens[lang == each].sum())
        for each in LANGUAGES
        if len(lang) and (lang == each).any()
    }


def _targets(windows: Windows) -> NDArray[np.int32]:
    first = np.zeros(len(windows.ids), bool)
    ends = np.flatnonzero(np.diff(windows.document)) + 1
    first[windows.starts[np.concatenate([[0], ends])]] = True  # BEGIN is never predicted
    return windows.ids[~first]
