"""Which measurement of another room is which: metric names are known here and nowhere else."""

import statistics
from collections.abc import Iterable

from seemant.core.measurement import Measurement

DECODE = "decode"  # tokens/s, one stream
TTFT = "ttft"  # ms
PEAK_RSS = "peak_rss"  # bytes
FILE_BYTES = "file_bytes"
KLD = "kld"  # nats/token; conditions["route"] is "weights", "deployed" or "runtime"
WEIGHTS, DEPLOYED, RUNTIME = "weights", "deployed", "runtime"

_TO_BASE = {"kB": 1e3, "KB": 1e3, "MB": 1e6, "MiB": 2.0**20, "GB": 1e9, "GiB": 2.0**30, "s": 1e3}


def median_of(measurements: Iterable[Measurement], metric: str) -> float | None:
    """Return the median of a metric's values in bytes, ms or tokens/s; None without any."""
    values = [in_base_unit(m) for m in measurements if m.metric == metric]
    return statistics.median(values) if values else None


def in_base_unit(measurement: Measurement) -> float:
    """Return a value in bytes or milliseconds; other units stay as they are."""
    return measurement.value * _TO_BASE.get(measurement.unit, 1.0)


def kld_by_language(measurements: Iterable[Measurement], route: str) -> dict[str, float]:
    """Return a variant's divergence in each language by one route, nats a token."""
    return {
        m.lang: m.value for m in measurements if m.metric == KLD and m.lang and route_of(m) == route
    }


def route_of(measurement: Measurement) -> str | None:
    """Return by which route a divergence was measured: weights, deployed or runtime."""
    route = measurement.conditions.get("route")
    return None if route is None else str(route)
