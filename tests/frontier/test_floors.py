"""Which floors a candidate misses; what was not measured is missed."""

from dataclasses import asdict
from typing import Any

import pytest

from seemant.frontier.floors import Request, misses, word_for, worst_quality
from seemant.frontier.verdict import tally_of
from seemant.stats.clusters import proportion


def quality(value: float, half: float | None = 0.05) -> dict[str, Any]:
    low, high = (None, None) if half is None else (value - half, value + half)
    return {"value": value, "ci_low": low, "ci_high": high, "n": 40, "n_clusters": 40}


def answered(right: int, asked: int = 40) -> dict[str, Any]:
    share = proportion([float(i < right) for i in range(asked)], range(asked))
    tally = tally_of({"value": share.value, "ci_low": share.low, "ci_high": share.high, "n": asked})
    return asdict(tally)


def row(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "subject": "m",
        "quality": {"hi": quality(0.2), "kn": quality(0.1)},
        "answers": {"hi": answered(38), "kn": answered(35)},
        "deployable": True,
        "warnings": [],
        "damaged": [],
        "guard": {},
        "file_bytes": 200e6,
        "peak_rss_bytes": 500e6,
        "decode_tokens_per_s": 50.0,
    }
    return given | changes


def asked(**changes: Any) -> Request:
    return Request(**({"device": "d", "languages": ("hi", "kn"), "min_quality": 0.0} | changes))


def floors(candidate: dict[str, Any], request: Request) -> list[str]:
    return [miss.floor for miss in misses(candidate, request)]


def test_a_good_candidate_misses_nothing() -> None:
    assert floors(row(), asked()) == []


@pytest.mark.parametrize(
    ("request_", "floor"),
    [
        (asked(max_file_bytes=199e6), "max_file"),
        (asked(max_memory_bytes=499e6), "max_memory"),
        (asked(max_latency_ms=19.9), "max_latency"),
        (asked(min_quality=0.05), "min_quality"),
    ],
)
def test_each_floor_is_held(request_: Request, floor: str) -> None:
    assert floors(row(), request_) == [floor]


def test_values_at_the_limit_fit() -> None:
    request = asked(max_file_bytes=200e6, max_memory_bytes=500e6, max_latency_ms=20.0)
    assert floors(row(), request) == []


def test_better_than_chance_means_the_lower_end_is_above_zero() -> None:
    at_zero = row(quality={"hi": quality(0.05), "kn": quality(0.2)})
    (miss,) = misses(at_zero, asked())
    assert miss.floor == "min_quality" and "chance" in miss.why and "hi" in miss.why


def test_too_few_families_are_no_evidence() -> None:
    few = row(quality={"hi": quality(0.9, None), "kn": quality(0.2)})
    assert floors(few, asked()) == ["min_quality"]


def test_a_language_not_measured_is_missed_and_not_guessed() -> None:
    hindi = row(quality={"hi": quality(0.2)})
    assert floors(hindi, asked()) == ["min_quality"]
    assert floors(hindi, asked(languages=("hi",))) == []
    assert worst_quality(hindi, ("hi", "kn")) == float("-inf")


def test_a_damaged_language_is_missed_only_where_it_is_asked_for() -> None:
    broken = row(damaged=["kn"], guard={"kn": 5.1})
    assert floors(broken, asked()) == ["undamaged"]
    assert floors(broken, asked(languages=("hi",))) == []


def test_latency_that_was_not_measured_on_the_device_reaches_no_floor() -> None:
    (miss,) = misses(row(), asked(max_latency_ms=1000.0, latency_known=False))
    assert "latency not measured on this device" in miss.why


def test_unmeasured_memory_reaches_no_floor() -> None:
    assert floors(row(peak_rss_bytes=None), asked(max_memory_bytes=1e12)) == ["max_memory"]


def test_two_of_forty_three_is_never_fit_however_sure_the_margin() -> None:
    lucky = row(answers={"hi": answered(2, 43), "kn": answered(43, 43)})
    (miss,) = misses(lucky, asked())
    assert miss.floor == "min_right"
    assert "2 of 43 right in Hindi" in miss.why and "no better than guessing" in miss.why
    assert floors(lucky, asked(min_right=0.0)) == ["min_right"]  # the floor is off, guessing is not
    assert word_for(lucky, asked()) == "no better than guessing"


def test_answers_that_nobody_read_are_no_evidence_unless_the_floor_is_off() -> None:
    silent = row(answers={})
    assert floors(silent, asked()) == ["min_right", "min_right"]
    assert floors(silent, asked(min_right=0.0)) == []
    assert word_for(silent, asked()) == "not enough evidence"


def test_what_the_device_cannot_hold_is_too_big_and_not_measured_is_not() -> None:
    assert word_for(row(), asked(max_file_bytes=1e6)) == "too big"
    assert word_for(row(peak_rss_bytes=None), asked(max_memory_bytes=1e12)) == "good"
