"""The logits of a head, a block of the vocabulary at a time: the whole matrix never exists.

For rows h (M, d) and a head W (V, d): r = k h Wᵀ, then u = r / τ or, with a soft-cap c,
u = c tanh(r / c) / τ. Everything that the losses add up is float32 (float64 of float64 inputs).

Rounding of bfloat16 inputs. A product rounded to bfloat16 has 8 bits: logits of 20 are then off
by 0.04. On Gemma 3 270M's own hidden states that is all of a plain loss's error (gradient 8e-3,
loss 5e-3 relative), so `exact` logits are made of two products, bf16(h Wᵀ) and
bf16(h Wᵀ - the first), which brings them to 2e-3 and 3e-6: what the gradient's own type allows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.models.frozen.gemm import accumulate, product, wide_product
from seemant.models.frozen.scratch import Scratch
from seemant.train.loss.heads import Head, blocks

_LOG2_E = math.log2(math.e)
_ROWS = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """How a head is read.

    block: rows of W at a time, memory only. scale: k. softcap: c. temperature: τ. exact: logits
    of bfloat16 inputs are not rounded to bfloat16, which takes a product more. scratch: memory to
    put blocks in, for a head that is not held in h's type.
    """

    block: int
    scale: float = 1.0
    softcap: float | None = None
    temperature: float = 1.0
    exact: bool = True
    scratch: Scratch | None = None

    @property
    def slope(self) -> float:
        """Return du / d(h·W) at u = 0: k / τ."""
        return self.scale / self.temperature


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of W from `start`: their logits u (M, B), and f = τ du/dr (M, B), or None for 1.

    q, s: the rows are s q, as `heads.blocks` gives them. u and f may be written to, q and s not;
    all are valid until the next block is read. narrow: (M, B) working space of q's type.
    """

    start: int
    q: Tensor
    s: Tensor | None
    u: Tensor
    f: Tensor | None
    narrow: Tensor | None

    @property
    def width(self) -> int:
        """Return B."""
        return len(self.q)

    def weigh(self, acc: Tensor, p: Tensor) -> Tensor:
        """Return acc + p W, in place or fresh: acc (M, d) and p (M, B) wide; p is used up."""
        if self.s is not None:
            p.mul_(self.s)
        return accumulate(acc, self.narrowed(p), self.q, exact=False)

    def narrowed(self, p: Tensor) -> Tensor:
        """Return p (M, B) in q's type: itself, or in space that the next call overwrites."""
        return p if self.narrow is None else self.narrow[: len(p)].copy_(p)


def read(h: Tensor, head: Head, how: Reading) -> Iterator[Block]:
    """Give the blocks of a head's logits for rows h (M, d); nothing for no rows."""
    m = len(h)
    if not m:
        return
    wide = wide_type(h)
    size = m * min(how.block, head.shape[0])
    narrow_space = torch.empty(size, dtype=h.dtype, device=h.device) if h.dtype != wide else None
    space = torch.empty(size, dtype=wide, device=h.device)
    for start, q, s in blocks(head, how.block, h.dtype, how.scratch):
        u, narrow = space[: m * len(q)].view(m, len(q)), None
        if narrow_space is None:
            u = product(h, q, out=u)
        else:
            narrow = narrow_space[: m * len(q)].view(m, len(q))
            wide_product(h, q, u, narrow, exact=how.exact)
        if s is not None:
            u.mul_(s)
        yield Block(start, q, s, u, capped_(u, how), narrow)
        del u  # a fresh product of the next block comes in its place, not beside it


def padded(h: Tensor) -> Tensor:
    """Return h (M, ...) with rows of zeros up to the next multiple of 16.

    oneDNN compiles a kernel for every number of rows that it has not seen, and keeps it.
    """
    more = -len(h) % _ROWS if h.device.type == "cpu" else 0
    return torch.cat([h, h.new_zeros(more, *h.shape[1:])]) if more else h


def capped_(products: Tensor, how: Reading) -> Tensor | None:
    """Turn products h·W into logits u in place; return f = 1 - tanh²(r/c), or None for 1."""
    if how.softcap is None:
        if how.slope != 1.0:
            products.mul_(how.slope)
        return None
    t = products.mul_(how.scale / how.softcap).tanh_()
    f = 1 - t * t
    t.mul_(how.softcap / how.temperature)
    return f


def exp_(x: Tensor) -> Tensor:
    """Return e^x, in place. In float32 by way of 2^x, whose kernel is four times as fast."""
    return torch.exp_(x) if x.dtype == torch.float64 else x.mul_(_LOG2_E).exp2_()


def wide_type(h: Tensor) -> torch.dtype:
    """Return the type that sums over h's products are kept in."""
    return torch.float64 if h.dtype == torch.float64 else torch.float32


def least(h: Tensor) -> float:
    """Return what a running maximum begins with: finite, so that no ∞ - ∞ arises."""
    return torch.finfo(wide_type(h)).min


def rescale(old: Tensor, new: Tensor) -> Tensor:
    """Return e^(old - new): what earlier blocks weigh once a larger logit has been seen."""
    return torch.exp(old - new)
