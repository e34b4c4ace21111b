"""Documents as windows: runs of tokens of one document, each token predicted exactly once.

A document is BEGIN, its text, END. What a window predicts is the token behind each of its own,
so the windows of a document cover it whole, without overlap; a document longer than the context
is cut into windows of equal length (to one token), as a short last one would learn from next to
no context. No window holds two documents. Several windows make a micro-batch, where attention
stays inside each: nothing leaks from one document into another, and nothing is padded.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from seemant.core.records import Paragraph
from seemant.models.tokenizer import Tokenizer
from seemant.train.pretrain.vocabulary import specials_as_text
from seemant.train.rows.render import Row

_AT_ONCE = 1024  # documents that are encoded together


@dataclass(frozen=True, slots=True, eq=False)
class Windows(Sequence[Row]):
    """Windows over one array of ids; a row is made when it is asked for, as 10 M of them are big.

    ids: (N,) every document, one behind the other. starts, lengths: (W,) of each window: its
    inputs are ids[start : start + length], its targets the ids one further on.
    document: (W,) index into `documents`.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    document: NDArray[np.int64]
    documents: tuple[Paragraph, ...]

    @property
    def n_tokens(self) -> int:
        """How many tokens the windows predict in all."""
        return int(self.lengths.sum())

    def __len__(self) -> int:
        """Return how many windows there are."""
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return a window as a row in which every position has a target."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, length = int(self.starts[index]), int(self.lengths[index])
        document = self.documents[self.document[index]]
        ids = array("i", self.ids[start : start + length + 1].tobytes())
        return Row(
            key=document.id,
            paragraph=document.id,
            lang=document.lang,
            ids=ids[:-1],
            targets=ids[1:],
            n_prompt=1,
        )


def windows_of(documents: Sequence[Paragraph], tokenizer: Tokenizer, context: int) -> Windows:
    """Return the documents' windows of at most `context` inputs, in the documents' order."""
    begin, end = tokenizer.bos_id, tokenizer.eos_id
    parts: list[NDArray[np.int32]] = []
    starts: list[int] = []
    lengths: list[int] = []
    owner: list[int] = []
    at = 0
    for first in range(0, len(documents), _AT_ONCE):
        some = documents[first : first + _AT_ONCE]
        with specials_as_text(tokenizer):
            encoded = tokenizer.inner.encode_batch_fast(
                [document.text for document in some], add_special_tokens=False
            )
        for offset, encoding in enumerate(encoded):
            parts.append(np.asarray([begin, *encoding.ids, end], np.int32))
            sizes = even_sizes(len(parts[-1]) - 1, context)
            starts += [at + sum(sizes[:i]) for i in range(len(sizes))]
            lengths += sizes
            owner += [first + offset] * len(sizes)
            at += len(parts[-1])
    ids = np.concatenate(parts) if parts else np.empty(0, np.int32)
    return Windows(
        ids,
        np.asarray(starts, np.int64),
        np.asarray(lengths, np.int64),
        np.asarray(owner, np.int64),
        tuple(documents),
    )


def even_sizes(n: int, most: int) -> list[int]:
    """Return the fewest sizes of at most `most` that add up to n and differ by at most one."""
    parts = -(-n // most)
    return [n // parts + (i < n % parts) for i in range(parts)]


def first_tokens(documents: Sequence[Paragraph], tokenizer: Tokenizer, n: int) -> list[Paragraph]:
    """Return each language's first documents, until about `n` tokens of it are reached."""
    left: dict[str, int] = {}
    kept = []
    with specials_as_text(tokenizer):
        for document in documents:
            if left.setdefault(document.lang, n) > 0:
                kept.append(document)
                left[document.lang] -= len(tokenizer.encode(document.text)) + 1
    return kept
