"""A number with its 95 % interval, as those who estimate one hand it on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean or a ratio with its 95 % interval.

    low, high: None where `method` says why there is none. n: observations, in `n_clusters`
    independent clusters.
    """

    value: float
    low: float | None
    high: float | None
    method: str
    n: int
    n_clusters: int
