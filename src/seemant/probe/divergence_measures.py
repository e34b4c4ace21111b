"""From chunk sums to measurements: by language and route, and the runtime's own price."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from seemant.core.interval import Interval
from seemant.core.measurement import Measurement, of_interval
from seemant.core.records import Lang
from seemant.core.seeds import rng
from seemant.probe.chunk_sums import Chunk
from seemant.probe.compare import DEPLOYED, TORCH, WEIGHTS, Tokens
from seemant.stats.bootstrap import Floats, draws, ratio

RUNTIME, REFERENCE = "runtime", "reference"
QUANTILES = {"kld_median": 0.5, "kld_p90": 0.9, "kld_p99": 0.99}
NO_INTERVAL = "none: a quantile of dependent tokens"

Row = tuple[str, str, Interval]
"""Metric, unit, value with its interval."""


def measure_divergence(
    chunks: Sequence[Chunk],
    tokens: Tokens,
    *,
    subject: str,
    seed: int,
    made_from: str | None = None,
) -> list[Measurement]:
    """Return kld, top1_agreement and perplexity_ratio a language and route.

    Route "runtime" is deployed less weights on the same chunks: kld, top1_agreement, and the
    ratio of the two perplexities. Route "reference" is the reference's own nats a byte.

    made_from: of a variant of another model than the reference, which then stands among the
        conditions of all.
    """
    made: list[Measurement] = []
    for lang in dict.fromkeys(chunk.lang for chunk in chunks):
        own = [chunk for chunk in chunks if chunk.lang == lang]
        routes = {r: [c for c in own if c.route == r] for r in (WEIGHTS, DEPLOYED)}
        routes = {route: group for route, group in routes.items() if group}
        first = next(iter(routes.values()))
        drawn = draws(len(first), rng(seed, "divergence", lang))
        for route, group in routes.items():
            rows = [*_means(group, drawn), *_quantiles(tokens[lang, route], len(group))]
            made += _measurements(subject, lang, route, group[0].engine, rows)
        if len(routes) == 2:
            rows = list(_differences(routes[DEPLOYED], routes[WEIGHTS], drawn))
            made += _measurements(subject, lang, RUNTIME, routes[DEPLOYED][0].engine, rows)
        nll = ratio([c.nll_ref_sum for c in first], [float(c.n_bytes) for c in first], drawn)
        made += _measurements(subject, lang, REFERENCE, TORCH, [("nll", "nats/byte", nll)])
    if made_from is None:
        return made
    told = {"made_from": made_from}
    return [m.model_copy(update={"conditions": m.conditions | told}) for m in made]


def _means(group: Sequence[Chunk], drawn: Floats) -> Iterator[Row]:
    n = [float(chunk.n) for chunk in group]
    yield "kld", "nats/token", ratio([c.kld_sum for c in group], n, drawn)
    yield "top1_agreement", "share", ratio([c.top1_sum for c in group], n, drawn)
    dnll = [c.dnll_sum for c in group]
    yield "perplexity_ratio", "ratio", ratio(dnll, n, drawn, exponential=True)


def _differences(a: Sequence[Chunk], b: Sequence[Chunk], drawn: Floats) -> Iterator[Row]:
    pairs = list(zip(a, b, strict=True))
    n = [float(x.n) for x, _ in pairs]
    yield "kld", "nats/token", ratio([x.kld_sum - y.kld_sum for x, y in pairs], n, drawn)
    yield "top1_agreement", "share", ratio([x.top1_sum - y.top1_sum for x, y in pairs], n, drawn)
    dnll = [x.dnll_sum - y.dnll_sum for x, y in pairs]
    yield "perplexity_ratio", "ratio", ratio(dnll, n, drawn, exponential=True)


def _quantiles(klds: Sequence[float], n_chunks: int) -> Iterator[Row]:
    """Yield quantiles of the tokens' KLD: the mean says average damage, the tail derailments."""
    found: Mapping[str, float] = {
        **{name: float(np.quantile(klds, share)) for name, share in QUANTILES.items()},
        "kld_max": max(klds),
    }
    for name, value in found.items():
        yield (
            name,
            "nats/token",
            Interval(value, None, None, NO_INTERVAL, len(klds), n_chunks),
        )


def _measurements(
    subject: str, lang: Lang, route: str, engine: str, rows: Sequence[Row]
) -> list[Measurement]:
    return [
        of_interval(subject, metric, lang, found, {"route": route, "engine": engine}, unit)
        for metric, unit, found in rows
    ]
