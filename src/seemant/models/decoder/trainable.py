"""A decoder of which everything is trained: pretraining and full fine-tuning.

Parameters are float32; products and the residual stream may be bfloat16, for which the weights
are cast where they are used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seemant.formats.gguf_read import open_gguf
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.folder_weights import folder_weights
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.load import Compute, norm_of
from seemant.models.decoder.shape import DecoderShape
from seemant.models.decoder.weights import Weights, random_weights, state_weights
from seemant.models.frozen.gemm import product, product_by_rows
from seemant.models.resolve import weights_in


def trainable_decoder(
    shape: DecoderShape,
    *,
    seed: int,
    state: Mapping[str, Tensor] | None = None,
    compute: Compute = "float32",
) -> Decoder:
    """Return a decoder whose every weight is a float32 parameter.

    state: tensors by transformers' name (of `state_dict`, or `load_state`); None: weights drawn
    from `seed` as transformers initialises them. A tied head is the embedding itself. The
    decoder's `state_dict` has transformers' names and layout.

    Raises:
        BadFile: a state that does not fit the shape; names the tensors.
    """
    weights = random_weights(shape, seed) if state is None else state_weights(shape, state)
    parts: dict[str, nn.Module] = {}
    for name, size in shape.tensors().items():
        module, _, kind = name.rpartition(".")
        if kind == "bias":
            continue
        if module == "model.embed_tokens":
            parts[module] = nn.Embedding(size[0], size[1], _weight=weights.whole(name))
        elif len(size) == 1:
            parts[module] = norm_of(weights, module, trained=True)
        else:
            bias = f"{module}.bias"
            has_bias = bias in weights.blocks
            parts[module] = Linear(weights.whole(name), weights.whole(bias) if has_bias else None)
    return Decoder(shape, parts, compute=getattr(torch, compute))


def load_state(path: Path) -> tuple[DecoderShape, dict[str, Tensor]]:
    """Return the shape and the float32 tensors of a GGUF file or an HF folder.

    Raises:
        BadFile: damaged, of another family, or tensors that do not fit the model.
    """
    path = weights_in(path)
    weights: Weights = folder_weights(path) if path.is_dir() else gguf_weights(open_gguf(path))
    return weights.shape, {name: weights.whole(name) for name in weights.blocks}


class Linear(nn.Module):
    """y = x Wᵀ + b, all trained; products by `gemm.product`. weight (out, in), bias (out,)."""

    bias: nn.Parameter | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return y (N, out) of x (N, in)."""
        y: Tensor = _Product.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Product(torch.autograd.Function):
    """∂x = g W, ∂W = gᵀ x. Saves x (in its type) and W (float32, the parameter itself)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return product(x, w.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w = ctx.saved_tensors
        gx = product_by_rows(g, w.to(g.dtype)) if ctx.needs_input_grad[0] else None
        gw = product(g.T, x.T).to(w.dtype) if ctx.needs_input_grad[1] else None
        return gx, gw
