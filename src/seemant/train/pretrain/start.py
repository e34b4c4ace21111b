"""The first weights of a model made from nothing.

Matrices are N(0, 1 / d_in) so that each layer keeps the size of what it reads; those that write
into the residual stream (o, down) are divided by √(2 · layers), so that the stream grows no
larger with depth (Radford et al., GPT-2, section 2.3). The embedding is N(0, 0.02²): as it is the
head too, logits begin near zero, and the first loss near ln V. Norms begin at one.
"""

import math

import torch
from torch import Tensor

from seemant.core.seeds import derive_seed
from seemant.models.decoder.shape import DecoderShape

EMBEDDING_STD = 0.02
_ENDS = ("model.embed_tokens.weight", "lm_head.weight")
_WRITERS = ("o_proj.weight", "down_proj.weight")


def first_weights(shape: DecoderShape, seed: int) -> dict[str, Tensor]:
    """Return every tensor by transformers' name; a tensor depends on the seed and its name only."""
    found = {}
    for name, size in shape.tensors().items():
        if len(size) == 1:
            found[name] = torch.zeros(size) if name.endswith(".bias") else torch.ones(size)
            continue
        std = EMBEDDING_STD if name in _ENDS else 1 / math.sqrt(size[1])
        if name.endswith(_WRITERS):
            std /= math.sqrt(2 * shape.layers)
        generator = torch.Generator().manual_seed(derive_seed(seed, "first weights", name))
        found[name] = torch.randn(size, generator=generator) * std
    return found
