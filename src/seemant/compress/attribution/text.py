"""The text of a damage map: passages laid one after another in batches of one language."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seemant.core.records import Lang
from seemant.probe.passages import Passage

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one language: ids (N,), the rows' lengths, what each id predicts (N,)."""

    lang: Lang
    ids: Tensor
    lengths: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """All batches, and of every chunk its language, its scored tokens and its bytes, in order."""

    batches: tuple[Batch, ...]
    langs: tuple[Lang, ...]
    n_tokens: NDArray[np.float64]
    n_bytes: NDArray[np.float64]

    @property
    def languages(self) -> tuple[Lang, ...]:
        """The languages, in order."""
        return tuple(dict.fromkeys(self.langs))

    @property
    def targets(self) -> tuple[int, ...]:
        """What every row predicts, over all batches."""
        return tuple(target for batch in self.batches for target in batch.targets)

    @property
    def chunk_of_row(self) -> NDArray[np.int64]:
        """The chunk of every row, over all batches."""
        return np.repeat(np.arange(len(self.langs)), self.n_tokens.astype(np.int64))

    def chunks_of(self, lang: Lang) -> NDArray[np.int64]:
        """Return the numbers of a language's chunks."""
        return np.flatnonzero(np.array([each == lang for each in self.langs]))


def text_of(passages: Sequence[Passage], batch_tokens: int = BATCH_TOKENS) -> Text:
    """Return passages, which come language by language, as batches of at most so many tokens."""
    groups: list[list[Passage]] = []
    room = 0
    for passage in passages:
        need = len(passage.targets)
        if not groups or groups[-1][0].lang != passage.lang or need > room:
            groups.append([])
            room = batch_tokens
        groups[-1].append(passage)
        room -= need
    return Text(
        tuple(_batch(group) for group in groups),
        tuple(passage.lang for passage in passages),
        np.array([len(passage.targets) for passage in passages], np.float64),
        np.array([passage.n_bytes for passage in passages], np.float64),
    )


def _batch(group: Sequence[Passage]) -> Batch:
    return Batch(
        group[0].lang,
        torch.tensor([token for passage in group for token in passage.tokens[:-1]]),
        tuple(len(passage.targets) for passage in group),
        tuple(token for passage in group for token in passage.targets),
    )
