"""A torch model's log-probabilities in slices: the body once, the wide head a few rows at a time.

With 262,144 tokens in the vocabulary the logits of 700 positions are 0.7 GB; the hidden states
behind them are 2 MB. So those are kept, and the head is applied where its rows are needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seemant.probe.divergence import MAX_ROWS, Rows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Head:
    """The output matrix (V, width) of a model, with the soft cap on its logits where it has one."""

    weight: "torch.Tensor"
    bias: "torch.Tensor | None"
    soft_cap: float | None

    def rows(self, hidden: NDArray[np.float32]) -> Iterator[Rows]:
        """Yield log-softmax slices, at most 32 rows, of final-norm hidden states (n, width)."""
        for at in range(0, len(hidden), MAX_ROWS):
            yield self.slice(hidden[at : at + MAX_ROWS])

    def slice(self, hidden: NDArray[np.float32]) -> Rows:
        """Return the log-softmax rows (n, V) of hidden states (n, width)."""
        import torch

        with torch.inference_mode():
            logits = torch.nn.functional.linear(torch.from_numpy(hidden), self.weight, self.bias)
            if self.soft_cap:
                logits = self.soft_cap * torch.tanh(logits / self.soft_cap)
            logits -= torch.logsumexp(logits, dim=-1, keepdim=True)  # in place: it is wide
        found: Rows = logits.numpy()
        return found


def head_of(model: "PreTrainedModel", *, copy: bool) -> Head:
    """Return a causal model's head in float32.

    copy: not a window on the mapped file, which would keep the whole file in memory, but a copy,
        so that the rest of the model can go.
    """
    layer = model.get_output_embeddings()
    bias = getattr(layer, "bias", None)
    cap = getattr(model.config, "final_logit_softcapping", None)
    weight = layer.weight.detach().float()
    if copy:
        weight = weight.clone()
    return Head(weight, None if bias is None else bias.detach().float(), cap)


def hidden_states(
    model: "PreTrainedModel", tokens: Sequence[int], first: int
) -> NDArray[np.float32]:
    """Return the final-norm hidden states that predict tokens[first:], (n, width) float32.

    tokens: with the model's beginning-of-text token where it has one; 1 <= first < len(tokens).
    """
    import torch

    ids = torch.tensor([list(tokens[:-1])])
    with torch.inference_mode():
        last = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    found: NDArray[np.float32] = last[0, first - 1 :].float().numpy().copy()
    return found
