"""Second moments of a linear's input: sums over tokens, so that languages are mixed afterwards.

    H_g = Σ x xᵀ / n_g   over the tokens of language g,      H = Σ_g w_g H_g,   Σ_g w_g = 1

Sums and counts are kept apart; means that are updated as batches come drift with their sizes. x xᵀ
is symmetric: of wide inputs only the panels on and below the diagonal are worked out, half the
work.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from seemant.models.frozen.gemm import product

_PANEL = 512


@dataclass(slots=True, eq=False)
class Moments:
    """Of one input: what the tokens seen so far add up to.

    lower: (C, C) float32, Σ x xᵀ, filled in panels on and below the diagonal. sizes: (C,)
    float64, Σ |x|. n: tokens, or their weight.
    """

    lower: Tensor
    sizes: Tensor
    n: float = 0.0

    @classmethod
    def of(cls, columns: int) -> "Moments":
        """Return the moments of no tokens."""
        return cls(torch.zeros(columns, columns), torch.zeros(columns, dtype=torch.float64))

    def add(self, x: Tensor, weight: float = 1.0) -> None:
        """Take in tokens x (N, C) float32, each with this weight."""
        columns = x.T.contiguous()  # oneDNN is a thousand times slower on strided views
        for start in range(0, len(columns), _PANEL):
            stop = min(start + _PANEL, len(columns))
            panel = product(columns[start:stop], columns[:stop])
            self.lower[start:stop, :stop].add_(panel, alpha=weight)
        self.sizes.add_(x.abs().sum(0, dtype=torch.float64), alpha=weight)
        self.n += weight * len(x)

    def merge(self, other: "Moments") -> None:
        """Take in another's tokens."""
        self.lower.add_(other.lower)
        self.sizes.add_(other.sizes)
        self.n += other.n

    def mean(self) -> Tensor:
        """Return H (C, C) float32, fresh."""
        return mixed({"all": self})

    def importance(self) -> Tensor:
        """Return the mean of x² by column, (C,) float32."""
        return self.lower.diagonal() / self.n


def mixed(moments: Mapping[str, Moments], weights: Mapping[str, float] | None = None) -> Tensor:
    """Return H (C, C) float32 of languages mixed; weights are scaled to sum 1, None: all equal."""
    shares = _shares(moments, weights)
    first = next(iter(moments.values()))
    out = torch.zeros_like(first.lower)
    for lang, share in shares.items():
        if share:
            out.add_(moments[lang].lower, alpha=share / moments[lang].n)
    for start in range(_PANEL, len(out), _PANEL):
        out[:start, start : start + _PANEL] = out[start : start + _PANEL, :start].T
    return out


def mean_size(moments: Mapping[str, Moments], weights: Mapping[str, float] | None = None) -> Tensor:
    """Return the mean of |x| by column, (C,) float32, languages mixed as in `mixed`."""
    shares = _shares(moments, weights)
    total = sum(moments[lang].sizes * (share / moments[lang].n) for lang, share in shares.items())
    assert isinstance(total, Tensor)
    return total.float()


def _shares(
    moments: Mapping[str, Moments], weights: Mapping[str, float] | None
) -> dict[str, float]:
    given = {lang: 1.0 for lang in moments} if weights is None else dict(weights)
    if set(given) - set(moments) or min(given.values()) < 0 or not sum(given.values()):
        raise ValueError(f"weights {given} for moments of {sorted(moments)}")
    total = sum(given.values())
    return {lang: weight / total for lang, weight in given.items()}
