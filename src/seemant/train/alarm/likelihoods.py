"""The passes of a check: log-likelihoods of all continuations, and the distance to the base.

Nothing is sampled and nothing is padded: texts go through the blocks as tries (`trie.py`), and
only positions that predict something that is asked for reach the head.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from seemant.models.decoder.block import Rows
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.rotary import Table
from seemant.train.alarm.quiz import Quiz
from seemant.train.alarm.signals import Floats
from seemant.train.alarm.trie import ROOM, Branches, Trie, tries


class Scores(Protocol):
    """What a check asks of `seemant.train.student.Student`."""

    @property
    def decoder(self) -> Decoder:
        """A `seemant.models.decoder.decoder.Decoder`."""

    def token_losses(self, h: Tensor, targets: Tensor) -> Tensor:
        """Return -log p of each target (M,) in nats; h (M, d)."""

    def token_kl(self, h: Tensor, h_base: Tensor) -> Tensor:
        """Return KL(p(h) || p(h_base)) of each row, (M,) in nats."""


class Passes:
    """The tries of a quiz with their layouts, made once for all checks of a run."""

    def __init__(self, quiz: Quiz, room: int = ROOM) -> None:
        texts = [
            (quiz.prompts[each.prompt] + each.ids, len(quiz.prompts[each.prompt]))
            for each in quiz.continuations
        ]
        # Continuations of one prompt side by side, so that they share a trie.
        self.order = sorted(range(len(texts)), key=lambda at: quiz.continuations[at].prompt)
        self.asked = _laid(tries([texts[at] for at in self.order], room))
        self.neutral = _laid(tries([(ids, 1) for ids in quiz.neutral], room))

    @property
    def n_tokens(self) -> int:
        """How many tokens a check passes through the blocks."""
        return sum(len(trie.ids) for trie, _ in (*self.asked, *self.neutral))

    def log_likelihoods(self, student: Scores) -> Floats:
        """Return log p of each of the quiz's continuations, (C,) float64 in nats."""
        found = np.zeros(len(self.order))
        for trie, h in _hidden(student, self.asked):
            targets = torch.tensor([token for _, _, token in trie.targets], device=h.device)
            losses = student.token_losses(h, targets).double().tolist()
            for (number, _, _), loss in zip(trie.targets, losses, strict=True):
                found[self.order[number]] -= loss
        return found

    def neutral_hidden(self, student: Scores) -> list[Tensor]:
        """Return the hidden states of the neutral texts, (M, d) of each pass."""
        return [h for _, h in _hidden(student, self.neutral)]

    def retention(self, student: Scores, base: Sequence[Tensor]) -> float:
        """Return the mean KL(tuned || base) over tokens of the neutral texts, in nats a token.

        base: `neutral_hidden` of the base, which has the same head.
        """
        total, n = 0.0, 0
        for (_, h), h_base in zip(_hidden(student, self.neutral), base, strict=True):
            total += float(student.token_kl(h, h_base).double().sum())
            n += len(h)
        return total / n


def _laid(made: Sequence[Trie]) -> list[tuple[Trie, Branches]]:
    return [(trie, Branches(trie)) for trie in made]


def _hidden(
    student: Scores, passes: Sequence[tuple[Trie, Branches]]
) -> Iterator[tuple[Trie, Tensor]]:
    """Give each trie with the hidden states that predict its targets, (M, d)."""
    for trie, layout in passes:
        with torch.no_grad():
            device = student.decoder.head_weight.device
            hidden = run(student.decoder, torch.tensor(trie.ids, device=device), layout)
            yield trie, hidden[[node for _, node, _ in trie.targets]]


def run(decoder: Decoder, ids: Tensor, layout: Branches) -> Tensor:
    """Return the hidden states of a trie's nodes after the last norm, (N, d). ids: (N,) int64."""
    plain = decoder.rows_of([layout.deepest + 1], ids.device)
    at, placed = layout.positions.to(ids.device), dict[int, Table]()

    def by_node(table: Table) -> Table:
        return placed.setdefault(id(table), (table[0][at], table[1][at]))

    rows = Rows(layout, tuple(map(by_node, plain.q_tables)), tuple(map(by_node, plain.k_tables)))
    x = decoder.embed(ids)
    for block in decoder.model.layers:
        x = block(x, rows)
    out: Tensor = decoder.model.norm(x)
    return out
