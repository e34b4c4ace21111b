"""Which measurement of another room is which: metric names are known here and nowhere else."""

import statistics
from collections.abc import Iterable
from typing import Any

from seemant.core.measurement import Measurement

DECODE = "decode"  # tokens/s, one stream
TTFT = "ttft"  # ms
PEAK_RSS = "peak_rss"  # bytes
FILE_BYTES = "file_bytes"
KLD = "kld"  # nats/token; conditions["route"] is "weights", "deployed" or "runtime"
CHOICE_ACCURACY = "choice_accuracy"  # share of questions whose right answer has the largest PMI
RIGHT = "accuracy"  # share of questions whose answer, freely generated, was right
WEIGHTS, DEPLOYED, RUNTIME = "weights", "deployed", "runtime"

_TO_BASE = {"kB": 1e3, "KB": 1e3, "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30, "s": 1e3}


Reading = dict[str, Any]
"""A number as the frontier's file keeps it: value, ci_low, ci_high, ci_method, n, n_clusters."""


def as_reading(measurement: Measurement) -> Reading:
    """Return a measurement with its interval, in bytes or ms; other units stay as they are."""
    scale = _TO_BASE.get(measurement.unit, 1.0)
    m = measurement
    return {
        "value": m.value * scale,
        "ci_low": None if m.ci_low is None else m.ci_low * scale,
        "ci_high": None if m.ci_high is None else m.ci_high * scale,
        "ci_method": m.ci_method,
        "n": m.n,
        "n_clusters": m.n_clusters,
    }


def reading_of(measurements: Iterable[Measurement], metric: str) -> Reading | None:
    """Return the reading of a metric; of several, their median without an interval."""
    found = [as_reading(m) for m in measurements if m.metric == metric]
    if len(found) < 2:
        return found[0] if found else None
    return {
        "value": statistics.median(each["value"] for each in found),
        "ci_low": None,
        "ci_high": None,
        "ci_method": f"none: the median of {len(found)} measurements",
        "n": sum(each["n"] for each in found),
        "n_clusters": None,
    }


def by_language(
    measurements: Iterable[Measurement], metric: str, route: str | None = None
) -> dict[str, Reading]:
    """Return the readings of a metric in each language, by one route where there are several."""
    return {
        m.lang: as_reading(m)
        for m in measurements
        if m.metric == metric and m.lang and route_of(m) == route
    }


def route_of(measurement: Measurement) -> str | None:
    """Return by which route a divergence was measured: weights, deployed or runtime."""
    route = measurement.conditions.get("route")
    return None if route is None else str(route)
