"""LSQ: rounding in the forward, learned steps, a straight-through gradient; on a file's own grid.

    x = (w - m) / d      q = clip(round(x), lo, hi)      ŵ = d q + m        d, m rounded to fp16

Gradients (Esser et al., 1902.08153, equation 3; with offsets Bhalgat et al., 2004.09576), the
rounding's own derivative taken as that of the identity:

    ∂ŵ/∂w = 1 inside,       0 outside               inside: lo <= x <= hi
    ∂ŵ/∂d = q - x inside,   lo or hi outside
    ∂ŵ/∂m = 0 inside,       1 outside

A code that is held (frozen) is a constant: ∂ŵ/∂w = 0, ∂ŵ/∂d = q, ∂ŵ/∂m = 1.

The forward is `formats.grids.snap` and `value` step for step, halves included, so that its values
are those of the packed file, bit for bit. Symmetric grids have no m and a signed d.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from seemant.formats.grids import Grid

_AT_ONCE = 1 << 17  # weights of one piece: half a megabyte of float32 stays in the cache


def half(x: Tensor) -> Tensor:
    """Return x rounded to fp16, as float32; its derivative counts as 1."""
    return x.half().float()


def nearest(w: Tensor, d: Tensor, m: Tensor | None, grid: Grid) -> Tensor:
    """Return the code of every weight, float32 (R, G, g), as `grids.snap` finds it.

    w (R, G, g) float32; d, m (R, G, 1) fp16 values in float32.
    """
    x = _scaled(w, d, m)
    if grid.symmetric and grid.bits == 8:  # Q8_0 rounds halves away from zero
        size = x.abs()
        whole = size.floor()
        whole += (2 * (size - whole)).floor_()
        q = torch.copysign(whole, x)
    elif m is None:
        q = (x + (0.5 - grid.lowest)).trunc_().add_(grid.lowest)
    else:
        q = (x + 0.5).trunc_()
    return q.clamp_(grid.lowest, grid.highest)


def value(q: Tensor, d: Tensor, m: Tensor | None) -> Tensor:
    """Return d q + m, float32 (R, G, g): two roundings, as `grids.value` makes them."""
    out = q * d
    return out if m is None else out.add_(m)


def codes_of(
    w: Tensor, d: Tensor, m: Tensor | None, grid: Grid, held: Tensor | None, fixed: Tensor | None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, codes float32 (rows, G, g)), a piece at a time.

    held: (R, G, g) bool, which codes are frozen, at fixed - lo: (R, G, g) uint8; None: none.
    """
    for rows in pieces(w):
        offset = None if m is None else m[rows]
        q = nearest(w[rows], d[rows], offset, grid)
        if held is not None and fixed is not None:
            q = torch.where(held[rows], fixed[rows].float().add_(grid.lowest), q)
        yield rows, q


def gradients_(
    g: Tensor,
    w: Tensor,
    d: Tensor,
    m: Tensor | None,
    grid: Grid,
    held: Tensor | None = None,
    fixed: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Turn g = ∂/∂ŵ (R, G, g) into ∂/∂w in place; return ∂/∂d and ∂/∂m, (R, G, 1) each."""
    of_d = torch.empty_like(d)
    of_m = None if m is None else torch.empty_like(m)
    for rows, q in codes_of(w, d, m, grid, held, fixed):
        x = _scaled(w[rows], d[rows], None if m is None else m[rows])
        inside = (x >= grid.lowest) & (x <= grid.highest)
        if held is not None:
            inside &= ~held[rows]
        up = g[rows]
        of_d[rows] = (up * torch.where(inside, q - x, q)).sum(-1, keepdim=True)
        if of_m is not None:
            of_m[rows] = torch.where(inside, 0, up).sum(-1, keepdim=True)
        up.mul_(inside)
    return of_d, of_m


def step_factor(grid: Grid, group: int) -> float:
    """Return 1/√(n Q_P), which brings a step's gradient to the size of a weight's (section 2.2)."""
    return 1 / math.sqrt(group * grid.highest)


def pieces(w: Tensor) -> Iterator[slice]:
    """Yield slices of rows of w (R, ...), of about 128k weights each."""
    step = max(1, _AT_ONCE // max(1, w[0].numel()))
    for start in range(0, len(w), step):
        yield slice(start, min(start + step, len(w)))


def _scaled(w: Tensor, d: Tensor, m: Tensor | None) -> Tensor:
    inverse = d.reciprocal()  # 0 where it overflows, as in `grids`
    inverse.masked_fill_(~inverse.isfinite(), 0)
    return (w if m is None else w - m) * inverse
