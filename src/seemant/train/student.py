"""The model as the training loop sees it: rows in, the loss of each answer token out."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seemant.models.decoder.decoder import Decoder
from seemant.train.loss.head import streamed_losses
from seemant.train.loss.kl import Divergence, streamed_kl
from seemant.train.loss.stream import Reading
from seemant.train.rows.render import IGNORED, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """How the head is read: block of the vocabulary, soft-cap, label smoothing, z-loss."""

    vocab_block: int = 8192
    softcap: float | None = None
    smoothing: float = 0.0
    z_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Student:
    """A decoder and how its loss is read off its head.

    fill: the flat rows are filled up to a multiple of so many tokens by a segment without targets.
    A matrix library that compiles a kernel for every new number of rows then sees few of them.
    """

    decoder: Decoder
    loss: LossSettings = LossSettings()
    fill: int = 1

    def hidden(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Return hidden states (M, d) at every position that has a target, and the targets (M,).

        The rows lie one after another, each attended to alone.
        """
        device = self.decoder.head_weight.device
        ids, targets, lengths = flat(rows, self.fill)
        ids, targets = ids.to(device), targets.to(device)
        at = torch.nonzero(targets != IGNORED).squeeze(1)
        h: Tensor = self.decoder(ids, lengths).index_select(0, at)
        return h, targets[at]

    def answer_losses(self, rows: Sequence[Row]) -> Tensor:
        """Return the loss of every target of these rows, row after row, (M,) in nats."""
        return self.losses(*self.hidden(rows))

    def losses(self, h: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row of h (M, d), (M,) in nats."""
        return self.both_losses(h, targets)[0]

    def both_losses(self, h: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, and its cross-entropy alone without gradient, (M,) each."""
        return streamed_losses(
            h,
            targets,
            self.decoder.head_weight,
            block=self.loss.vocab_block,
            softcap=self.loss.softcap,
            smoothing=self.loss.smoothing,
            z_loss=self.loss.z_loss,
            scratch=self.decoder.scratch,
        )

    def token_losses(self, h: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy alone of each row of h, whatever the student is trained with."""
        plain = replace(self.loss, smoothing=0.0, z_loss=0.0)
        return replace(self, loss=plain).losses(h, targets)

    def token_kl(self, h: Tensor, h_base: Tensor, direction: Divergence = "reverse") -> Tensor:
        """Return the divergence of each row of h from h_base under the same head, (M,) in nats.

        reverse: KL(student ‖ base); forward: KL(base ‖ student).
        """
        head, how = self.decoder.head_weight, self.reading()
        return streamed_kl(
            h, h_base, head, head, block=how.block, direction=direction, student=how, teacher=how
        )

    def reading(self) -> Reading:
        """Return how the head is read: its blocks lie in the scratch that the linears use."""
        return Reading(
            self.loss.vocab_block, softcap=self.loss.softcap, scratch=self.decoder.scratch
        )


def flat(rows: Sequence[Row], fill: int = 1) -> tuple[Tensor, Tensor, list[int]]:
    """Return ids and targets of all rows end to end, (N,) int64 each, and the segments' lengths."""
    ids, targets = array("i"), array("i")
    for row in rows:
        ids.extend(row.ids)
        targets.extend(row.targets)
    lengths = [len(row.ids) for row in rows]
    if rest := -len(ids) % fill:
        ids.extend([0] * rest)
        targets.extend([IGNORED] * rest)
        lengths.append(rest)
    whole = [torch.frombuffer(each, dtype=torch.int32).long() for each in (ids, targets)]
    return whole[0], whole[1], lengths
