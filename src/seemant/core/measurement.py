"""A number with where it came from and how sure it is: the only way a number travels."""

import math
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from seemant.core.interval import Interval

Origin = Literal["measured", "predicted", "reported"]

EXACT = "exact"  # a count or a size: no sampling, so no interval
TOO_FEW = "none: fewer than 8 clusters"  # an interval from fewer is not worth printing
MIN_CLUSTERS = 8

TIMED_UNITS = frozenset({"s", "ms", "tokens/s", "samples/s", "pairs/s", "GFLOP/s"})
TIMED_METRICS = frozenset({"peak_rss", "flop_utilisation"})


class Measurement(BaseModel):
    """One number about one subject.

    subject: what was measured, for example "gemma-3-270m+lora/q4_0".
    metric, unit: what the number is, for example "pmi_margin" in "nats/byte".
    lang: the language it speaks of, or None.
    ci_low, ci_high, ci_method: its 95 % interval and how that was made; without an interval the
        method says why ("exact", "none: ...").
    n, n_clusters: how many observations, in how many independent clusters.
    origin: measured here by this run, predicted by a model with a known error, or reported by
        someone else (then `source` names them).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    subject: str
    metric: str
    lang: str | None = None
    value: float
    unit: str
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str
    n: int
    n_clusters: int | None = None
    origin: Origin = "measured"
    device: str | None = None
    conditions: dict[str, str | int | float | bool | None] = {}
    source: str = ""

    @property
    def timed(self) -> bool:
        """Whether the number depends on the machine's speed or load, so that no two runs agree."""
        return self.unit in TIMED_UNITS or self.metric in TIMED_METRICS

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.metric} of {self.subject} is {self.value}")
        if (self.ci_low is None) != (self.ci_high is None):
            raise ValueError("an interval has two ends")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError(f"interval [{self.ci_low}, {self.ci_high}] is upside down")
        if self.ci_low is None and self.ci_method != EXACT and "none: " not in self.ci_method:
            raise ValueError("without an interval, ci_method is 'exact' or 'none: why'")
        if self.origin == "reported" and not self.source:
            raise ValueError("a reported number names its source")
        return self


def exact(
    subject: str,
    metric: str,
    value: float,
    unit: str,
    *,
    lang: str | None = None,
    conditions: dict[str, str | int | float | bool | None] | None = None,
) -> Measurement:
    """Return a measured count or size, which has no interval because nothing was sampled."""
    return Measurement(
        subject=subject,
        metric=metric,
        lang=lang,
        value=value,
        unit=unit,
        ci_method=EXACT,
        n=1,
        conditions=conditions or {},
    )


def of_interval(
    subject: str,
    metric: str,
    lang: str | None,
    interval: Interval,
    given: Mapping[str, str | int | float | bool | None],
    unit: str = "nats/token",
) -> Measurement:
    """Return a value with its interval, n and clusters as a measurement."""
    return Measurement(
        subject=subject,
        metric=metric,
        lang=lang,
        value=interval.value,
        unit=unit,
        ci_low=interval.low,
        ci_high=interval.high,
        ci_method=interval.method,
        n=interval.n,
        n_clusters=interval.n_clusters,
        conditions=dict(given),
    )
