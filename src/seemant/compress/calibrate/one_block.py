"""One block of a decoder over tensors by GGUF name; the modules are the decoder's own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from seemant.models.decoder.attention import Segments
from seemant.models.decoder.block import Block, Rows
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.rotary import RotaryTables
from seemant.models.decoder.shape import DecoderShape
from seemant.models.frozen.gemm import product
from seemant.models.names import Family, permuted_heads, to_hf, values_to_hf


def block_of(shape: DecoderShape, layer: int, tensors: Mapping[str, Tensor]) -> Block:
    """Return block `layer` over its tensors (GGUF's names and layout, float32).

    Nothing is copied but Llama's q and k, whose rows stand otherwise in a file.
    """
    family = Family(shape.family, shape.heads, shape.kv_heads)
    parts: dict[str, nn.Module] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if kind == "bias":
            continue
        part = to_hf(name, shape.family).split(".", 3)[3].removesuffix(".weight")
        if tensor.ndim == 1:  # a file's gains are whole, also Gemma's
            parts[part] = RmsNorm(tensor, shape.eps, shift=0.0, trained=False)
        else:
            bias = tensors.get(f"{stem}.bias")
            rows = None if bias is None else _in_order(f"{stem}.bias", bias, family)
            parts[part] = Fixed(_in_order(name, tensor, family), rows)
    return Block(one_layer(shape, layer), 0, parts)


def rows_for(shape: DecoderShape, layer: int, lengths: Sequence[int]) -> Rows:
    """Return what block `layer` needs to know of rows of these lengths, of `block_of`."""
    tables, rope = RotaryTables(shape.head_dim, shape.rotated), shape.ropes[layer]
    device = torch.device("cpu")
    k = tables.rows(rope, 1.0, lengths, device)
    # With a norm, q's factor goes into the norm's weight.
    q = k if shape.qk_norm else tables.rows(rope, shape.query_scale, lengths, device)
    return Rows(Segments.of(lengths, keep=0), (q,), (k,))


def one_layer(shape: DecoderShape, layer: int) -> DecoderShape:
    """Return the shape of a decoder that has this layer alone."""
    return replace(shape, layers=1, windows=(shape.windows[layer],), ropes=(shape.ropes[layer],))


class Fixed(nn.Module):
    """y = x Wᵀ + b of tensors that stay somebody else's."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._weight, self._bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        """Return y (N, out) of x (N, in)."""
        y = product(x, self._weight)
        return y if self._bias is None else y + self._bias


def _in_order(name: str, tensor: Tensor, family: Family) -> Tensor:
    if permuted_heads(name, family) is None:
        return tensor
    return torch.from_numpy(values_to_hf(name, tensor.numpy(), family))
