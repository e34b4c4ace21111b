"""The model as the training loop sees it: rows in, the loss of each answer token out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seemant.core.errors import InputError
from seemant.train.head import streamed_cross_entropy
from seemant.train.render import IGNORED, Row

_PAD = 0  # any id: pads stand behind a row, where causal attention never looks back at them


@dataclass(frozen=True, slots=True)
class Student:
    """The blocks (`body`, ids -> hidden states) and the frozen head's matrix (V, d)."""

    body: nn.Module
    head: Tensor
    block: int  # vocabulary rows of the loss at a time

    def answer_losses(self, rows: Sequence[Row]) -> Tensor:
        """Return the loss of every target of these rows, row after row, (M,) in nats.

        Only positions that have a target reach the head.
        """
        ids, targets = collate(rows)
        # No attention mask: right padding needs none, and causal attention alone is faster.
        hidden = self.body(input_ids=ids, use_cache=False).last_hidden_state
        flat = targets.view(-1)
        at = torch.nonzero(flat != IGNORED).squeeze(1)
        h = hidden.reshape(len(flat), -1).index_select(0, at)
        return streamed_cross_entropy(h, flat[at], self.head, self.block)


def student_of(model: Any, block: int) -> Student:
    """Return the student of a Hugging Face causal language model.

    Raises:
        InputError: its head does something that the streamed loss does not do.
    """
    head = model.get_output_embeddings()
    cap = getattr(model.config, "final_logit_softcapping", None)
    if cap is not None or head.bias is not None:
        what = f"caps its logits at {cap}" if cap is not None else "has a head with a bias"
        raise InputError(
            f"{type(model).__name__} {what}, which this loss does not support",
            fix="use a model of the Llama, Qwen2, Qwen3 or Gemma 3 families",
        )
    return Student(model.model, head.weight.detach(), block)


def collate(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return ids and targets, both (B, T) int64, T the longest row; shorter ones are padded."""
    longest = max(len(row.ids) for row in rows)
    ids = [[*row.ids, *[_PAD] * (longest - len(row.ids))] for row in rows]
    targets = [[*row.targets, *[IGNORED] * (longest - len(row.ids))] for row in rows]
    return torch.tensor(ids), torch.tensor(targets)
