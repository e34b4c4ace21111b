"""A number is finite, has an interval or says why not, and names its source when reported."""

import math

import pytest
from pydantic import ValidationError

from seemant.core.measurement import EXACT, TOO_FEW, Measurement, exact

BASE = {"subject": "m", "metric": "kld", "value": 0.1, "unit": "nats/token", "n": 10}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        Measurement(**{**BASE, "value": value}, ci_method=EXACT)


def test_a_missing_interval_needs_a_reason() -> None:
    with pytest.raises(ValidationError, match="none: why"):
        Measurement(**BASE, ci_method="cluster t")
    assert Measurement(**BASE, ci_method=TOO_FEW).ci_low is None


@pytest.mark.parametrize("ends", [(0.2, None), (0.3, 0.2)])
def test_an_interval_has_two_ends_in_order(ends: tuple[float, float | None]) -> None:
    with pytest.raises(ValidationError):
        Measurement(**BASE, ci_low=ends[0], ci_high=ends[1], ci_method="t")


def test_a_reported_number_names_its_source() -> None:
    with pytest.raises(ValidationError, match="source"):
        Measurement(**BASE, ci_method=EXACT, origin="reported")


def test_times_and_peak_memory_are_timed_and_sizes_are_not() -> None:
    assert exact("m", "decode", 3.0, "tokens/s").timed
    assert exact("m", "peak_rss", 3.0, "bytes").timed
    assert not exact("m", "file_bytes", 3.0, "bytes").timed
