"""What others report stands beside our figures with its source, and is never taken for ours."""

from seemant.train.memory.reported import reported_points


def test_every_point_says_who_reports_it_and_what_was_run() -> None:
    points = reported_points()
    assert len({point.subject for point in points}) == len(points) >= 3
    for point in points:
        assert point.origin == "reported" and point.source
        assert (point.metric, point.unit) == ("peak_memory", "bytes")
        assert 1e9 < point.value < 1e12
        assert point.ci_low is None and point.ci_method.startswith("none: ")
        assert {"method", "base", "batch"} <= set(point.conditions)
        assert "tokens" in point.conditions or point.conditions["method"] == "none"  # inference


def test_what_was_not_said_is_none_and_the_source_says_so() -> None:
    silent = [point for point in reported_points() if point.conditions["batch"] is None]
    assert silent
    for point in silent:
        assert point.conditions["tokens"] is None and "not said" in point.source
