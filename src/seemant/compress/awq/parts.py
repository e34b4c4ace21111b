"""A block's two parts as functions of its tensors, on fixed inputs: what AWQ's search measures.

    attention:  norm(x) -> q, k, v -> attention -> o (-> Gemma's norm)      of the block's input x
    mlp:        norm(h) -> gate, up -> down (-> Gemma's norm)               of h = x + attention(x)

The modules are the decoder's own; h is computed once, with the tensors given first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from seemant.compress.awq.site_search import Forward
from seemant.compress.awq.sites import Part
from seemant.models.decoder.attention import Segments
from seemant.models.decoder.block import Block, Rows
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.rotary import RotaryTables
from seemant.models.decoder.shape import DecoderShape
from seemant.models.frozen.gemm import product
from seemant.models.names import Family, permuted_heads, to_hf, values_to_hf


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
    one = replace(shape, layers=1, windows=(shape.windows[layer],), ropes=(shape.ropes[layer],))
    tables = RotaryTables(shape.head_dim)
    k_table = tables.rows(one.ropes[0], 1.0, lengths, x.device)
    # With a norm, q's factor goes into the norm's weight.
    factor = 1.0 if shape.qk_norm else shape.query_scale
    q_table = tables.rows(one.ropes[0], factor, lengths, x.device)
    rows = Rows(Segments.of(lengths), (q_table,), (k_table,))
    h: list[Tensor] = []

    @torch.no_grad()
    def forward(part: Part, tensors: Mapping[str, Tensor]) -> Tensor:
        block = _block(one, tensors)
        if part == "attention":
            out: Tensor = block.self_attn(block.input_layernorm(x), rows)
            if one.gemma_norms:
                out = block.post_attention_layernorm(out)
            return out
        if not h:
            h.append(x + forward("attention", weights))
        if one.gemma_norms:
            out = block.mlp(block.pre_feedforward_layernorm(h[0]))
            return block.post_feedforward_layernorm.forward(out)
        out = block.mlp(block.post_attention_layernorm(h[0]))
        return out

    return forward


def _block(shape: DecoderShape, tensors: Mapping[str, Tensor]) -> Block:
    """Return a block over tensors by GGUF name, which are not copied but for Llama's q and k."""
    family = Family(shape.family, shape.heads, shape.kv_heads)
    parts: dict[str, nn.Module] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if kind == "bias":
            continue
        part = to_hf(name, shape.family).split(".", 3)[3].removesuffix(".weight")
        if tensor.ndim == 1:  # GGUF's gains are whole: there is nothing to add to them
            parts[part] = RmsNorm(tensor, shape.eps, shift=0.0, trained=False)
        else:
            bias = tensors.get(f"{stem}.bias")
            parts[part] = _Fixed(
                _in_order(name, tensor, family),
                None if bias is None else _in_order(f"{stem}.bias", bias, family),
            )
    return Block(shape, 0, parts)


def _in_order(name: str, tensor: Tensor, family: Family) -> Tensor:
    if permuted_heads(name, family) is None:
        return tensor
    return torch.from_numpy(values_to_hf(name, tensor.numpy(), family))


class _Fixed(nn.Module):
    """y = x Wᵀ + b of tensors that stay somebody else's."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._weight, self._bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        y = product(x, self._weight)
        return y if self._bias is None else y + self._bias
