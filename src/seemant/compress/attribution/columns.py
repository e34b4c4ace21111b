"""Columns that may explain damage: of a matrix and its error, and of what flows into a layer.

All take float32 tensors and sum in float64. They describe; what they say of causes is decided by
interventions only (`damage_map.py`).
"""

import math

import torch
from torch import Tensor

from seemant.models.frozen.gemm import product

TOP = 8  # channels whose share of the energy is told


def relative_error(w: Tensor, error: Tensor) -> float:
    """Return ||E||_F / ||W||_F: w and error (rows, columns)."""
    return math.sqrt(_squares(error) / max(_squares(w), 1e-300))


def weighted_error(w: Tensor, error: Tensor, x: Tensor) -> float:
    """Return tr(E H Eᵀ) / tr(W H Wᵀ) with H = xᵀx of the inputs x (N, columns) of one language.

    It is ||x Eᵀ||² / ||x Wᵀ||², so no H is built: N rows in place of columns² numbers.
    """
    return _squares(product(x, error)) / max(_squares(product(x, w)), 1e-300)


def kurtosis(x: Tensor) -> float:
    """Return mean over tokens of (mean x⁴) / (mean x²)² over the channels of x (N, C).

    1 when all channels are of one size, 3 when they look Gaussian, C when one holds everything.
    """
    squared = x.double().square()
    mean = squared.mean(1).clamp_min(1e-300)
    return float((squared.square().mean(1) / mean.square()).mean())


def max_over_rms(x: Tensor) -> float:
    """Return mean over tokens of max |x| / rms(x) over the channels of x (N, C)."""
    wide = x.double()
    return float((wide.abs().amax(1) / wide.square().mean(1).clamp_min(1e-300).sqrt()).mean())


def top_share(x: Tensor, top: int = TOP) -> float:
    """Return the share of the energy of x (N, C) that its largest `top` channels hold."""
    energy = x.double().square().sum(0)
    return float(energy.topk(min(top, len(energy))).values.sum() / energy.sum().clamp_min(1e-300))


def effective_rank(x: Tensor) -> float:
    """Return exp(-sum p log p), p = λ / Σλ, of the eigenvalues λ of xᵀx, x (N, C).

    (Roy and Vetterli 2007.) At most min(N, C): compare layers at one N only.
    """
    wide = x.double()
    gram = wide.T @ wide if x.shape[0] >= x.shape[1] else wide @ wide.T
    values = torch.linalg.eigvalsh(gram).clamp_min(0)
    p = values / values.sum().clamp_min(1e-300)
    p = p[p > 0]
    return float(torch.exp(-(p * p.log()).sum()))


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Return linear CKA of two views (N, C) and (N, C') of the same N tokens.

    ||Yᵀ X||² / (||Xᵀ X|| ||Yᵀ Y||), columns centred (Kornblith et al., 1905.00414, equation 5).
    """
    a, b = (each.double() - each.double().mean(0) for each in (x, y))
    scale = torch.linalg.norm(a.T @ a) * torch.linalg.norm(b.T @ b)
    return float((b.T @ a).square().sum() / scale.clamp_min(1e-300))


def covariance_similarity(x: Tensor, y: Tensor) -> float:
    """Return <C_x, C_y> / (||C_x|| ||C_y||) of the covariances of x (N, C) and y (M, C).

    Texts of two languages have no tokens in common, so linear CKA, which pairs tokens, does not
    exist between them. This is CKA with the two sides exchanged: channels are what is paired.
    """
    a, b = (torch.cov(each.double().T, correction=0) for each in (x, y))
    return float((a * b).sum() / (torch.linalg.norm(a) * torch.linalg.norm(b)).clamp_min(1e-300))


def _squares(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2
