"""A block's two parts as functions of its tensors, on fixed inputs: what AWQ's search measures.

    attention:  norm(x) -> q, k, v -> attention -> o (-> Gemma's norm)      of the block's input x
    mlp:        norm(h) -> gate, up -> down (-> Gemma's norm)               of h = x + attention(x)

The modules are the decoder's own; h is computed once, with the tensors given first.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seemant.compress.awq.site_search import Forward
from seemant.compress.awq.sites import Part
from seemant.compress.calibrate.one_block import block_of, rows_for
from seemant.models.decoder.shape import DecoderShape


def block_parts(
    shape: DecoderShape,
    layer: int,
    x: Tensor,
    lengths: Sequence[int],
    weights: Mapping[str, Tensor],
) -> Forward:
    """Return the function of a part and a block's tensors that gives the part's output (N, d).

    x: (N, d) float32, the block's input, rows of `lengths` tokens one after another. weights: the
    block's tensors, in GGUF's names and layout, float32, as they should be.
    """
    rows = rows_for(shape, layer, lengths)
    h: list[Tensor] = []

    @torch.no_grad()
    def forward(part: Part, tensors: Mapping[str, Tensor]) -> Tensor:
        block = block_of(shape, layer, tensors)
        if part == "attention":
            out: Tensor = block.self_attn(block.input_layernorm(x), rows)
            if shape.gemma_norms:
                out = block.post_attention_layernorm(out)
            return out
        if not h:
            h.append(x + forward("attention", weights))
        if shape.gemma_norms:
            out = block.mlp(block.pre_feedforward_layernorm(h[0]))
            return block.post_feedforward_layernorm.forward(out)
        out = block.mlp(block.post_attention_layernorm(h[0]))
        return out

    return forward
