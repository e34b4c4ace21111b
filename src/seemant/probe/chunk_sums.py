"""Sums over chunks, a paragraph each: what `stats.bootstrap` redraws for means and ratios."""

import math

from seemant.core.records import Lang, Record
from seemant.probe.divergence import TokenDivergence


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
