"""What is read off a damage: means, quantiles, and ratios of two candidates on the same tokens.

The unit that is redrawn is the chunk. One draw serves both sides of a ratio, which makes it far
tighter than two means (design note on compression, section 5).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seemant.core.interval import Interval
from seemant.core.seeds import rng
from seemant.probe.divergence import TokenDivergence, joined
from seemant.stats.bootstrap import draws, ratio

QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Scores:
    """The divergence of one candidate: language -> one `TokenDivergence` a chunk."""

    chunks: Mapping[str, tuple[TokenDivergence, ...]]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in order."""
        return tuple(self.chunks)

    def tokens(self, lang: str) -> TokenDivergence:
        """Return all scored tokens of a language as one."""
        return joined(self.chunks[lang])

    def means(self) -> dict[str, float]:
        """Return the mean KLD by language, nats a token."""
        return {
            lang: math.fsum(float(each.kld.sum()) for each in listed) / sum(e.n for e in listed)
            for lang, listed in self.chunks.items()
        }

    def worst(self) -> float:
        """Return the mean KLD of the language that loses most."""
        return max(self.means().values())

    def kld(self, lang: str, *, seed: int = 0) -> Interval:
        """Return the mean KLD, nats a token, with its interval (none below 8 chunks)."""
        return self._mean("kld", lang, seed)

    def top1(self, lang: str, *, seed: int = 0) -> Interval:
        """Return the share of tokens whose best guess is the reference's."""
        return self._mean("top1", lang, seed)

    def perplexity_ratio(self, lang: str, *, seed: int = 0) -> Interval:
        """Return exp(mean dnll), the paired ratio of the two perplexities."""
        return self._mean("dnll", lang, seed, exponential=True)

    def quantiles(self, lang: str) -> dict[str, float]:
        """Return quantiles of the tokens' KLD, and its maximum: the tail says derailments."""
        kld = self.tokens(lang).kld
        found = {f"q{100 * q:g}": float(np.quantile(kld, q)) for q in QUANTILES}
        return found | {"max": float(kld.max())}

    def _mean(self, what: str, lang: str, seed: int, *, exponential: bool = False) -> Interval:
        listed = self.chunks[lang]
        sums = [float(getattr(each, what).sum()) for each in listed]
        sizes = [float(each.n) for each in listed]
        drawn = draws(len(listed), rng(seed, "evaluate", lang))
        return ratio(sums, sizes, drawn, exponential=exponential)


def kld_ratio(a: Scores, b: Scores, lang: str, *, seed: int = 0) -> Interval:
    """Return KLD_a / KLD_b on the same chunks, each draw of chunks serving both.

    Raises:
        ValueError: the two were not measured on the same chunks, or b has no damage at all.
    """
    pairs = list(zip(a.chunks[lang], b.chunks[lang], strict=True))
    if any(x.n != y.n or not np.array_equal(x.nll_ref, y.nll_ref) for x, y in pairs):
        raise ValueError("scores of different tokens or references cannot be paired")
    above, below = ([float(each.kld.sum()) for each in side] for side in zip(*pairs, strict=True))
    if not sum(below):
        raise ValueError("the second candidate has no damage to compare with")
    drawn = draws(len(pairs), rng(seed, "evaluate", lang))
    return ratio(above, below, drawn, n=sum(x.n for x, _ in pairs))
