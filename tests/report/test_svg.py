"""The drawings: coordinates, ticks, layout of the graph."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.measurement import Measurement
from seemant.report.svg_axes import Frame, padded, ticks
from seemant.report.svg_damage import Damaged, beaten, damage_chart
from seemant.report.svg_frontier import frontier_chart
from seemant.report.svg_graph import Box, graph, layout, reduced
from seemant.report.svg_losses import LossLine, loss_chart


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_within_the_range_and_are_few(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 8
    slack = 1e-9 * (abs(low) + span)
    assert all(low - slack <= value <= low + span + slack for value in found)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_a_padded_range_is_never_empty(low: float, span: float) -> None:
    a, b = padded(low, low + span)
    assert a < b and a <= low and low + span <= b


def test_larger_values_stand_higher_and_further_right() -> None:
    frame = Frame(360, 280, (0, 10), (0, 1))
    assert frame.y(1) < frame.y(0) and frame.x(10) > frame.x(0)
    assert frame.x(0) == frame.left and frame.y(0) == 280 - frame.bottom


def test_a_node_stands_behind_all_that_it_needs() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["a", "d"]}
    place = layout(needs)
    for name, wanted in needs.items():
        assert all(place[need][0] < place[name][0] for need in wanted)
    assert len(set(place.values())) == len(place)


def test_edges_that_others_imply_are_left_out() -> None:
    needs = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["a", "c"]}
    assert reduced(needs) == {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_the_reduced_graph_reaches_what_the_whole_one_reaches(given: list[set[int]]) -> None:
    needs = {str(i): [str(n) for n in sorted(w) if n < i] for i, w in enumerate(given)}
    assert reach(reduced(needs)) == reach(needs)


def reach(needs: dict[str, list[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, wanted in needs.items():
        found[name] = set(wanted).union(*(found[n] for n in wanted))
    return found


def test_the_graph_draws_each_node_and_edge_once() -> None:
    boxes = [Box("a", "corpus", (), "n", False, "t"), Box("b", "train", ("a",), "n", True, "t")]
    drawn = graph(boxes)
    assert drawn.count("<rect") == 2 and drawn.count('class="edge"') == 1
    assert drawn.count("earlier") == 1


def candidate(subject: str, size: float | None, value: float, **more: object) -> dict:
    q = {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
    row = {"subject": subject, "file_bytes": size, "quality": {"hi": q}}
    return row | {"on_frontier": True, "deployable": True, "damaged": []} | more


def test_the_frontier_draws_a_point_a_candidate_with_a_file() -> None:
    rows = [
        (1, candidate("a", 1e8, 0.1)),
        (2, candidate("b", 2e8, 0.3)),
        (3, candidate("c", None, 0.5)),
    ]
    drawn = frontier_chart(rows, "hi", "nats/byte")
    assert drawn is not None
    assert drawn.count("<circle") == 2 and drawn.count("<polyline") == 1
    assert frontier_chart(rows, "kn", "nats/byte") is None


def test_equal_points_do_not_cover_each_other() -> None:
    rows = [(k, candidate(f"m{k}", 1e8, 0.1)) for k in range(1, 7)]
    drawn = frontier_chart(rows, "hi", "nats/byte")
    assert drawn is not None
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    places.sort()
    assert all(b - a > 15 for a, b in pairwise(places))


def test_a_damaged_language_is_crossed() -> None:
    rows = [(1, candidate("a", 1e8, 0.1, damaged=["hi"])), (2, candidate("b", 2e8, 0.1))]
    drawn = frontier_chart(rows, "hi", "nats/byte")
    assert drawn is not None and drawn.count("strike") == 1
    assert drawn.count("beaten damaged") == 1  # off the frontier, small as it is


def damaged(key: int, n_bytes: float, kld: float, *, simulated: bool = False) -> Damaged:
    measured = Measurement(
        subject="m", metric="kld", lang="hi", value=kld, unit="nats/token", n=640,
        ci_low=kld / 2, ci_high=kld * 2, ci_method="bootstrap",
    )  # fmt: skip
    return Damaged(key, f"v{key}", n_bytes, measured, simulated)


def test_damage_is_filled_where_no_file_as_small_loses_less() -> None:
    points = [
        damaged(1, 3e8, 0.01),
        damaged(2, 2e8, 0.1),
        damaged(3, 2e8, 0.5),  # beaten by 2
        damaged(4, 3e8, 0.2),  # beaten by 1 and 2
        damaged(5, 1e8, 0.05, simulated=True),  # beats nothing: its bytes are not its bits'
    ]
    assert [beaten(point, points) for point in points] == [False, False, True, True, False]
    drawn = damage_chart(points, "hi")
    assert drawn is not None
    looks = re.findall(r'class="point (\w+)"', drawn)
    assert sorted(looks) == ["beaten", "beaten", "best", "best", "shown"]
    assert damage_chart(points[:1], "hi") is None


def test_damage_stands_on_an_axis_of_logarithms() -> None:
    drawn = damage_chart([damaged(k, k * 1e8, 10.0**-k) for k in (1, 2, 3)], "hi")
    assert drawn is not None
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', drawn)]
    first, second, third = heights
    assert second - first == pytest.approx(third - second, abs=0.2) and second > first
    assert damage_chart([damaged(1, 1e8, 0.0), damaged(2, 2e8, 0.1)], "hi") is not None


@pytest.mark.parametrize("n", [0, 1])
def test_a_loss_of_less_than_two_points_has_no_curve(n: int) -> None:
    assert loss_chart([LossLine(step=1, loss=2.0)][:n], "m") is None


def test_the_untrained_model_has_a_held_out_loss_only() -> None:
    rows = [
        LossLine(step=0, loss=None, heldout_loss=3.0),
        LossLine(step=1, loss=2.5),
        LossLine(step=2, loss=2.0, heldout_loss=2.2),
    ]
    drawn = loss_chart(rows, "m")
    assert drawn is not None and drawn.count("<circle") == 2 and drawn.count("<polyline") == 2
