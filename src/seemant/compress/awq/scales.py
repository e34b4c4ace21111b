"""The search of one site's s = a^α (Lin et al., 2306.00978, equations 4 and 5).

    s_α = a^α / √(max a^α · min a^α),   α ∈ {0, .05, …, .95},   a_j = mean |x_j|
    α* = argmin ‖B(x; W) − B(x / s; Q(W · s))‖²

α = 0 is s = 1, plain rounding, so the result is never worse than it in its own metric.

Differs from the paper: B costs a forward, so every α is first screened by tr(dW H dWᵀ), which
needs none, and only the best few go through B, and α = 0 always.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.compress.awq.config import ALPHAS
from seemant.core.errors import BadFile


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The scale (channels,) that won, its exponent and error, and the error of plain rounding.

    screened: the screening error of every α.
    """

    alpha: float
    scale: Tensor
    error: float
    rtn_error: float
    screened: dict[float, float]


def best_scale(
    magnitude: Tensor,
    screen: Callable[[Tensor], float],
    verify: Callable[[Tensor], float],
    *,
    alphas: Sequence[float] = ALPHAS,
    keep: int = 3,
) -> Choice:
    """Return the best of the scales magnitude^α.

    magnitude: (channels,), not negative. screen, verify: the error of a scale (channels,), the
    cheap one and the one that decides. keep: how many α > 0 are verified.

    Raises:
        BadFile: plain rounding fails, or its error is not finite: damaged weights.
    """
    scales = {alpha: scale_of(magnitude, alpha) for alpha in sorted({0.0, *alphas})}
    if not torch.isfinite(magnitude).all():
        raise BadFile("activations that are not finite", fix="check the model's weights")
    rtn_error = verify(scales[0.0])
    screened = {alpha: _or_inf(screen, scale) for alpha, scale in scales.items()}
    if not (torch.tensor([rtn_error, screened[0.0]]).isfinite()).all():
        raise BadFile("the rounded layer's error is not finite", fix="check the model's weights")
    order = sorted((alpha for alpha in scales if alpha), key=lambda alpha: screened[alpha])
    errors = {0.0: rtn_error} | {a: _or_inf(verify, scales[a]) for a in order[:keep]}
    alpha = min(errors, key=lambda alpha: (errors[alpha], alpha))
    return Choice(alpha, scales[alpha], errors[alpha], rtn_error, screened)


def scale_of(magnitude: Tensor, alpha: float) -> Tensor:
    """Return a^α over the root of its extremes' product, (channels,) float32; 1 for α = 0.

    A channel that is always 0 counts like the smallest one that is not.
    """
    live = magnitude[magnitude > 0]
    if not len(live):
        return torch.ones_like(magnitude, dtype=torch.float32)
    a = magnitude.double().clamp(min=float(live.min()))
    s = a**alpha
    return (s / (s.max() * s.min()).sqrt()).float()


def _or_inf(error: Callable[[Tensor], float], scale: Tensor) -> float:
    """Return the error, or infinity for a scale whose rounding fp16 cannot hold."""
    try:
        found = error(scale)
    except BadFile:
        return torch.inf
    return found if found == found else torch.inf
