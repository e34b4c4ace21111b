"""Sums over chunks (a paragraph each) and what follows from them: means, ratios, intervals.

Tokens of one paragraph are not independent, so the paragraph is what is redrawn. For a quantity
with chunk sums s_c over n_c tokens the estimate is the ratio sum s_c / sum n_c, and its interval
the 95 % percentile interval of B = 10,000 paired bootstraps: one draw of chunks serves every
quantity and every route, so differences between them are paired.

Over g chunks the plain percentiles are too narrow: the spread among g draws lacks the factor
sqrt(g/(g-1)), and the normal stands where t should (about 91 % covered at g = 10). So they are
taken at a' and 1 - a', with

    a' = Phi(-t(0.975, g-1) sqrt(g/(g-1)))

(Hesterberg, The American Statistician 69(4), 2015, section 4.3 and its "expanded percentile").
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit  # scipy.stats takes a second to import

from seemant.core.measurement import MIN_CLUSTERS, TOO_FEW
from seemant.core.records import Lang, Record
from seemant.probe.divergence import TokenDivergence
from seemant.probe.intervals import LEVEL, Interval

Floats = NDArray[np.float64]
DRAWS = 10_000
METHOD = "paired chunk bootstrap, expanded percentiles, 95 %"


class Chunk(Record):
    """One line of `chunks.jsonl`: a paragraph's sums by one route, nats.

    route: "weights" (the candidate's weights in torch) or "deployed" (its file in llama.cpp).
    engine: what computed the candidate: "torch", "llamacpp". n_bytes: UTF-8 bytes of the text.
    """

    lang: Lang
    paragraph_id: str
    route: str
    engine: str
    n: int
    n_bytes: int
    kld_sum: float
    top1_sum: float
    dnll_sum: float
    nll_ref_sum: float
    kld_max: float


def chunk_of(
    found: TokenDivergence, *, lang: Lang, paragraph_id: str, route: str, engine: str, n_bytes: int
) -> Chunk:
    """Return the sums of a paragraph's tokens, of which there is at least one."""
    return Chunk(
        lang=lang,
        paragraph_id=paragraph_id,
        route=route,
        engine=engine,
        n=found.n,
        n_bytes=n_bytes,
        kld_sum=math.fsum(found.kld),
        top1_sum=math.fsum(found.top1),
        dnll_sum=math.fsum(found.dnll),
        nll_ref_sum=math.fsum(found.nll_ref),
        kld_max=float(found.kld.max()),
    )


def draws(n_chunks: int, generator: np.random.Generator, n_draws: int = DRAWS) -> Floats:
    """Return how often each chunk is drawn, (draws, chunks); each row sums to n_chunks."""
    chances = np.full(n_chunks, 1 / n_chunks)
    return generator.multinomial(n_chunks, chances, size=n_draws).astype(np.float64)


def expanded_tail(n_clusters: int) -> float:
    """Return the share of draws to leave out at each end for 95 % over so many clusters (>= 2)."""
    g = n_clusters
    return float(ndtr(-stdtrit(g - 1, LEVEL) * math.sqrt(g / (g - 1))))


def ratio(
    sums: Sequence[float], sizes: Sequence[float], drawn: Floats, *, exponential: bool = False
) -> Interval:
    """Return sum(sums) / sum(sizes), or its exponential, with the interval from these draws.

    sums, sizes (chunks,); drawn (draws, chunks) from `draws`. A difference of two routes is the
    ratio of the differences of their sums. n counts tokens or bytes: sum(sizes).
    """
    s, n = np.asarray(sums, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    value = float(s.sum() / n.sum())
    size = round(float(n.sum()))
    if len(s) < MIN_CLUSTERS:
        value = math.exp(value) if exponential else value
        return Interval(value, None, None, TOO_FEW, size, len(s))
    means = (drawn @ s) / (drawn @ n)
    tail = expanded_tail(len(s))
    low, high = (float(each) for each in np.quantile(means, [tail, 1 - tail]))
    low, high = min(low, value), max(high, value)
    if exponential:
        value, low, high = math.exp(value), math.exp(low), math.exp(high)
    return Interval(value, low, high, METHOD, size, len(s))
