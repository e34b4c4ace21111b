"""The steps of fitting a k-quant, on many super-blocks at once: integers, super-scales, errors.

x and omega everywhere: float32 (weights a small group, S * groups), a small group a column.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grid_search import dot
from seemant.formats.grids import half, reciprocal
from seemant.formats.kquants import SUPER, Layout

Array = NDArray[np.float32]


class Supers(NamedTuple):
    """Some super-blocks: d, dmin float32 (S, 1); sc, mn whole numbers in float32 (S, groups)."""

    d: Array
    dmin: Array | None
    sub: Array
    sub_min: Array | None

    def dmin_or_d(self) -> Array:
        """Return dmin, or d where there is none."""
        return self.d if self.dmin is None else self.dmin

    def grids(self) -> tuple[Array, Array | None]:
        """Return scale and offset of every small group, (S * groups,)."""
        scale = (self.d * self.sub).reshape(-1)
        if self.dmin is None or self.sub_min is None:
            return scale, None
        return scale, -(self.dmin * self.sub_min).reshape(-1)


def first(scale: Array, offset: Array | None, layout: Layout) -> Supers:
    """Return super-scales so that the largest small scale fits, and the integers."""
    groups = scale.reshape(-1, SUPER // layout.group)
    if offset is None:
        at = np.abs(groups).argmax(1)[:, None]
        d = np.take_along_axis(groups, at, 1) / np.float32(layout.lowest)
        return integers(scale, None, half(d), None, layout)
    top = np.float32(layout.highest)
    d = half(groups.max(1, keepdims=True) / top)
    dmin = half(-offset.reshape(groups.shape).min(1, keepdims=True) / top)
    return integers(scale, offset, d, dmin, layout)


def integers(
    scale: Array, offset: Array | None, d: Array, dmin: Array | None, layout: Layout
) -> Supers:
    """Return the nearest multiples of the super-scales."""

    def nearest(numbers: Array, unit: Array) -> Array:
        whole = np.rint(numbers.reshape(len(unit), -1) * reciprocal(unit))
        clipped: Array = np.clip(whole, layout.lowest, layout.highest)
        return clipped

    if offset is None or dmin is None:
        return Supers(d, None, nearest(scale, d), None)
    return Supers(d, dmin, nearest(scale, d), nearest(-offset, dmin))


def improved(x: Array, omega: Array | None, found: Supers, layout: Layout) -> Supers:
    """Return the best of each small group's integers and their neighbours."""
    best = _errors(x, omega, found, layout)
    sub, sub_min = found.sub.copy(), None if found.sub_min is None else found.sub_min.copy()
    for up, up_min in product((-1, 0, 1), (0,) if sub_min is None else (-1, 0, 1)):
        if up == up_min == 0:
            continue
        trial = Supers(
            found.d,
            found.dmin,
            np.clip(found.sub + up, layout.lowest, layout.highest),
            None
            if found.sub_min is None
            else np.clip(found.sub_min + up_min, layout.lowest, layout.highest),
        )
        error = _errors(x, omega, trial, layout)
        better = error < best
        np.copyto(best, error, where=better)
        np.copyto(sub, trial.sub, where=better)
        if sub_min is not None and trial.sub_min is not None:
            np.copyto(sub_min, trial.sub_min, where=better)
    return Supers(found.d, found.dmin, sub, sub_min)


def rescaled(x: Array, omega: Array | None, found: Supers, layout: Layout) -> Supers:
    """Return the same integers under least squares super-scales in fp16."""
    q = _codes(x, *found.grids(), layout)
    oq = q if omega is None else q * omega
    shape = found.sub.shape
    along, size = dot(oq, x).reshape(shape), dot(oq, q).reshape(shape)

    def over(*factors: Array) -> Array:
        total: Array = np.prod(np.stack(factors), axis=0, dtype=np.float64).sum(1, keepdims=True)
        return total

    a, b = over(found.sub, found.sub, size), over(found.sub, along)
    if found.dmin is None or found.sub_min is None:
        return found._replace(d=half(np.divide(b, a, out=found.d.astype(float), where=a > 0)))
    total = np.float32(len(x)) if omega is None else omega.sum(0).reshape(shape)
    sum_x = (x if omega is None else x * omega).sum(0).reshape(shape)
    mn = -found.sub_min
    c = over(found.sub, mn, oq.sum(0).reshape(shape))
    e, f = over(mn, mn, np.broadcast_to(total, shape)), over(mn, sum_x)
    det = a * e - c * c
    sound = det > 1e-9 * a * e
    det = np.where(sound, det, 1)
    d = np.where(sound, (b * e - c * f) / det, found.d)
    dmin = np.where(sound, (a * f - b * c) / det, found.dmin)
    return found._replace(d=half(np.maximum(d, 0)), dmin=half(np.maximum(dmin, 0)))


def better(x: Array, omega: Array | None, old: Supers, new: Supers, layout: Layout) -> Supers:
    """Return, super-block by super-block, the one of less error."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = [_errors(x, omega, s, layout).sum(1, keepdims=True) for s in (old, new)]
        less = errors[1] < errors[0]
    d, sub = np.where(less, new.d, old.d), np.where(less, new.sub, old.sub)
    if old.dmin is None or old.sub_min is None or new.dmin is None or new.sub_min is None:
        return Supers(d, None, sub, None)
    dmin = np.where(less, new.dmin, old.dmin)
    return Supers(d, dmin, sub, np.where(less, new.sub_min, old.sub_min))


def _errors(x: Array, omega: Array | None, found: Supers, layout: Layout) -> Array:
    """Return the weighted squared error of every small group, (S, groups)."""
    scale, offset = found.grids()
    off = _codes(x, scale, offset, layout)
    off *= scale
    if offset is not None:
        off += offset
    off -= x
    error = dot(off, off) if omega is None else dot(np.square(off), omega)
    return error.reshape(found.sub.shape).astype(np.float32)


def _codes(x: Array, scale: Array, offset: Array | None, layout: Layout) -> Array:
    inverse = reciprocal(scale)
    q = x * inverse if offset is None else (x - offset) * inverse
    clipped: Array = np.clip(np.rint(q, out=q), layout.grid.lowest, layout.grid.highest, out=q)
    return clipped
