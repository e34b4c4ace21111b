"""Fitting k-quants: small scales, their integers, the super-scales, each rounded before the next.

"minmax": every small group's min-max grid; its scale (and -m) as a multiple of the super-block's
largest, in 6 or 8 bits. "mse", with weights omega:

1. small groups: the least squares grids of `grid_search` (m <= 0, as stored),
2. super-scales d, dmin in fp16 so that the largest fits, then integers sc, mn,
3. integers: of sc and mn, one up and one down are tried with codes taken anew,
4. super-scales: least squares over the 256 weights for the codes and integers chosen,
   min over d, dmin of sum omega (w - d sc q + dmin mn)^2,

then 3 and 4 again. A super-block keeps the result only where its error is below min-max's.
llama.cpp does 1 and 2 (`quantize_row_q4_K_impl` and its kin) and stops.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadConfig, BadFile
from seemant.formats.grid_search import best_affine, best_scale, slices, steps_for
from seemant.formats.grids import TOO_LARGE, Weights
from seemant.formats.kquant_supers import Supers, better, first, improved, rescaled
from seemant.formats.kquants import LAYOUTS, KParams, Layout

Array = NDArray[np.float32]

ROUNDS = 2  # of steps 3 and 4


def fit_k(w: Weights, kind: str, search: str, weight: Weights | None = None) -> KParams:
    """Return the k-quant grids of w (rows, groups, group), whole super-blocks.

    weight: omega, (1 or rows, groups, group) or None; "minmax" does not look at it.

    Raises:
        BadConfig: HQQ knows no super-blocks.
        BadFile: a scale is too large for fp16.
    """
    if search == "hqq":
        raise BadConfig(f"hqq does not fit {kind}", fix='use the search "mse"')
    layout = LAYOUTS[kind]
    parts = []
    for at, x, omega in slices(w, weight if search == "mse" else None):
        found = first(*_minmax(x, layout), layout)
        if not (np.isfinite(found.d).all() and np.isfinite(found.dmin_or_d()).all()):
            raise BadFile(
                f"weights of up to {np.abs(w[at]).max():.3g} are too large for {kind}",
                fix=TOO_LARGE,
            )
        if search == "mse":
            found = better(x, omega, found, _searched(x, omega, layout), layout)
        parts.append(found)
    return _params(parts, kind, len(w))


def _searched(x: Array, omega: Array | None, layout: Layout) -> Supers:
    found = first(*_least_squares(x, omega, layout), layout)
    for _ in range(ROUNDS):
        found = improved(x, omega, found, layout)
        found = better(x, omega, found, rescaled(x, omega, found, layout), layout)
    return improved(x, omega, found, layout)


def _least_squares(x: Array, omega: Array | None, layout: Layout) -> tuple[Array, Array | None]:
    if layout.symmetric:
        return best_scale(x, omega, layout.grid, steps_for(layout.grid)), None
    return best_affine(x, omega, layout.grid, steps_for(layout.grid), below_zero=True)


def _minmax(x: Array, layout: Layout) -> tuple[Array, Array | None]:
    if layout.symmetric:
        at = np.abs(x).argmax(0)[None]
        return np.take_along_axis(x, at, 0)[0] / np.float32(layout.grid.lowest), None
    low = np.minimum(x.min(0), 0)
    return (np.maximum(x.max(0), low) - low) / np.float32(layout.grid.highest), low


def _params(parts: list[Supers], kind: str, rows: int) -> KParams:
    """Return slices of a matrix, in order, as one."""

    def whole(pick: Callable[[Supers], Array]) -> Array:
        return np.concatenate([pick(part) for part in parts]).reshape(rows, -1, 1)

    d, sub = whole(lambda part: part.d), whole(lambda part: part.sub).astype(np.int16)
    if parts[0].dmin is None:
        return KParams.of(kind, d, None, sub, None)
    dmin = whole(lambda part: part.dmin_or_d())
    sub_min = whole(lambda part: part.sub if part.sub_min is None else part.sub_min)
    return KParams.of(kind, d, dmin, sub, sub_min.astype(np.int16))
