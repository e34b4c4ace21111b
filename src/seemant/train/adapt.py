"""LoRA: a frozen linear layer with a trained product of two thin matrices beside it.

    y = x Wᵀ + b + s (x Aᵀ) Bᵀ        s = alpha / r
    gB = s gᵀ (x Aᵀ)     gA = s (g B)ᵀ x     gx = g W + s (g B) A

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, section 4.1.
Only the linear layers of the blocks are adapted. An adapter on a head that shares the
embedding's matrix would untie it in some tools and be dropped by others, so there is none.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from seemant.core.errors import InputError
from seemant.core.seeds import derive_seed

_BLOCKS = ".layers."  # what the blocks of every supported family are called


class LoraLinear(nn.Module):
    """A frozen `nn.Linear` and its adapter: `lora_a` (r, in) and `lora_b` (out, r), float32."""

    def __init__(self, base: nn.Linear, rank: int, scale: float, generator: torch.Generator):
        super().__init__()
        self.base = base
        self.scale = scale
        # The start that PEFT uses: uniform in ±1/sqrt(in) for A (Kaiming, a = sqrt 5), zero for B.
        bound = 1 / math.sqrt(base.in_features)
        start = torch.rand(rank, base.in_features, generator=generator) * (2 * bound) - bound
        self.lora_a = nn.Parameter(start)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) for x (..., in), in x's type."""
        bias = self.base.bias
        flat = x.reshape(-1, x.shape[-1])
        y: Tensor = _lora(flat, self.lora_a, self.lora_b, self.base.weight, bias, self.scale)
        return y.view(*x.shape[:-1], y.shape[-1])


def adapt(model: nn.Module, rank: int, alpha: float, seed: int) -> dict[str, LoraLinear]:
    """Freeze the model, put an adapter on each linear layer of its blocks; return them by name.

    Each adapter starts from its own stream, so it does not depend on the others.

    Raises:
        InputError: no linear layer stands in a block (an unknown architecture).
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and _BLOCKS in f".{name}."
    }
    if not found:
        raise InputError(
            f"no linear layer in the blocks of {type(model).__name__}",
            fix="use a model of the Llama, Qwen or Gemma families",
        )
    adapters: dict[str, LoraLinear] = {}
    for name, base in found.items():
        generator = torch.Generator().manual_seed(derive_seed(seed, "adapter", name))
        adapters[name] = LoraLinear(base, rank, alpha / rank, generator)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, adapters[name])
    return adapters


def trainable(adapters: dict[str, LoraLinear]) -> dict[str, nn.Parameter]:
    """Return the trained matrices by name, in a fixed order."""
    parameters: dict[str, nn.Parameter] = {}
    for name, module in adapters.items():
        parameters[f"{name}.lora_A"] = module.lora_a
        parameters[f"{name}.lora_B"] = module.lora_b
    return parameters


def _lora(x: Tensor, a: Tensor, b: Tensor, w: Tensor, bias: Tensor | None, s: float) -> Tensor:
    y: Tensor = _Lora.apply(x, a, b, w, bias, s)  # type: ignore[no-untyped-call]
    return y


class _Lora(torch.autograd.Function):
    """Saves x Aᵀ and references; no product of the size of y or of W is kept."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, a: Tensor, b: Tensor, w: Tensor, bias: Tensor | None, s: float
    ) -> Tensor:
        ctx.own = a.dtype
        a, b = a.to(x.dtype), b.to(x.dtype)
        xa = x @ a.T
        ctx.save_for_backward(x, xa, a, b, w)
        ctx.s = s
        y = nn.functional.linear(x, w, bias)
        return y.addmm_(xa, b.T, alpha=s)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (g,) = gradients
        x, xa, a, b, w = ctx.saved_tensors
        gb = (g @ b).mul_(ctx.s)  # s g B
        grad_x = torch.mm(g, w).addmm_(gb, a) if ctx.needs_input_grad[0] else None
        grad_a = (gb.T @ x).to(ctx.own)
        grad_b = (g.T @ xa).mul_(ctx.s).to(ctx.own)
        return grad_x, grad_a, grad_b, None, None, None
