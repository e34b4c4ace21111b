"""The memory prediction and its error."""

from pathlib import Path

import pytest

from seemant.bench.prediction import known_bytes, predictions
from seemant.bench.subjects import Subject


def subject(name: str, file_bytes: int) -> Subject:
    return Subject(name, Path(name), None, file_bytes, kv_bytes_per_token=1000, n_vocab=5000)


SUBJECTS = [subject("a", 100_000_000), subject("b", 200_000_000), subject("c", 400_000_000)]


def test_models_that_follow_the_rule_are_predicted_exactly() -> None:
    peaks = {s.name: known_bytes(s, 512) + 70_000_000.0 for s in SUBJECTS}
    for found in predictions(SUBJECTS, peaks, 512):
        assert found.value == peaks[found.subject]
        assert found.ci_low == found.ci_high == found.value
        assert (found.origin, found.metric) == ("predicted", "peak_rss")
        assert found.source


def test_the_interval_holds_every_model_when_each_is_predicted_from_the_others() -> None:
    rest = {"a": 50e6, "b": 90e6, "c": 210e6}
    peaks = {s.name: known_bytes(s, 512) + rest[s.name] for s in SUBJECTS}
    found = {m.subject: m for m in predictions(SUBJECTS, peaks, 512)}
    assert found["a"].value == pytest.approx(known_bytes(SUBJECTS[0], 512) + 150e6)
    for name, peak in peaks.items():
        low, high = found[name].ci_low, found[name].ci_high
        assert low is not None and high is not None
        assert low <= peak + 1 and peak - 1 <= high
    assert "leave-one-out" in found["a"].ci_method


def test_two_models_are_too_few_to_check_a_prediction() -> None:
    assert predictions(SUBJECTS[:2], {"a": 1.0, "b": 2.0}, 512) == []


def test_a_longer_context_takes_its_cache() -> None:
    one = SUBJECTS[0]
    assert known_bytes(one, 1512) - known_bytes(one, 512) == 1_000_000
