"""The figure: well-formed, everything escaped, the ring where it was."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from seemant.core.jsonl import read_records
from seemant.train.alarm.figure import behaviour_svg
from seemant.train.alarm.hook import ALARM_NAME
from seemant.train.alarm.ring import Look
from seemant.train.alarm.svg import Panel, round_values, tag, text
from tests.train.alarm.fakes import fake_alarm, go_on

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[Look]:
    out = tmp_path_factory.mktemp("run")
    alarm = fake_alarm(out, lambda look: 0.15 * max(0, look - 5))
    go_on(alarm, [4.0 / (1 + 0.2 * k) for k in range(1, 11)])
    return read_records(Path(out) / ALARM_NAME, Look)


def words(image: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(image).iter(f"{SVG}text")]


def test_the_ring_stands_at_its_step_through_all_panels(looks: list[Look]) -> None:
    image = behaviour_svg(looks)
    root = ElementTree.fromstring(image)
    ring = next(e for e in root.iter(f"{SVG}line") if e.get("class") == "ring")
    first = next(look.step for look in looks if look.verdict == "ring")
    span = Panel((0, 100), (0, 1), 64, 860 - 128, 0, 1)
    assert float(ring.get("x1", 0)) == span.x(first)
    assert float(ring.get("y2", 0)) - float(ring.get("y1", 0)) > 500
    assert f"ring, step {first}" in words(image)


def test_every_look_has_a_point_in_every_panel(looks: list[Look]) -> None:
    beside = [look.model_copy(update={"loss_by_bucket": {"replay": 3.0}}) for look in looks]
    root = ElementTree.fromstring(behaviour_svg(beside))
    points = list(root.iter(f"{SVG}circle"))
    assert len(points) == 4 * 11 + 11 + 11  # signals; the pairs; replay
    crossed = [e for e in points if e.get("class") == "hit"]
    assert len(crossed) == sum(r.crossed for look in looks for r in look.signals.values()) > 0
    bounds = [e for e in root.iter(f"{SVG}polyline") if e.get("class") == "bound"]
    assert len(bounds) == 4 and all(len(e.get("points", "").split()) == 10 for e in bounds)


def test_all_panels_share_one_axis(looks: list[Look]) -> None:
    root = ElementTree.fromstring(behaviour_svg(looks))
    places = {e.get("cx") for e in root.iter(f"{SVG}circle")}
    assert len(places) == 11


def test_a_quiet_run_has_no_ring(looks: list[Look]) -> None:
    image = behaviour_svg(looks[:4])
    assert 'class="ring"' not in image
    assert "No ring in 3 looks." in words(image)


def test_texts_cannot_become_markup(looks: list[Look]) -> None:
    bad = "</text><script>alert(1)</script>\x00\u202e\ud800"
    look = looks[1].model_copy(update={"loss_by_bucket": {bad: 3.0}})
    image = behaviour_svg([looks[0], look], title=bad)
    assert "<script>" not in image and "\x00" not in image and "\u202e" not in image
    image.encode("utf-8")
    assert any("<script>alert(1)</script>\u27e8U+0000\u27e9" in each for each in words(image))


@pytest.mark.parametrize("n", [0, 1])
def test_few_looks_are_still_an_image(looks: list[Look], n: int) -> None:
    assert ElementTree.fromstring(behaviour_svg(looks[:n])).tag == f"{SVG}svg"


def test_nothing_is_fetched(looks: list[Look]) -> None:
    image = behaviour_svg(looks).replace("http://www.w3.org/2000/svg", "")
    assert "http" not in image and "url(" not in image and "<script" not in image


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-0.03, 0.02, [-0.03, -0.02, -0.01, 0, 0.01, 0.02])],
)
def test_ticks_stand_at_round_values(low: float, high: float, expected: list[float]) -> None:
    assert round_values(low, high, 5) == pytest.approx(expected)


def test_attributes_are_escaped_too() -> None:
    assert tag("a", title='"><b>') == '<a title="&quot;&gt;&lt;b&gt;"/>'
    assert text("<i>", 1, 2, "k") == '<text x="1" y="2" class="k">&lt;i&gt;</text>'


def test_a_long_ring_sentence_is_wrapped_inside_the_image(looks: list[Look]) -> None:
    at = next(n for n, look in enumerate(looks) if look.verdict == "ring")
    signals = ("knowledge", "context", "mimicry", "language")
    loud = looks[at].model_copy(update={"rang": signals, "worse": ("replay",)})
    image = behaviour_svg([*looks[:at], loud])
    said = [each for each in words(image) if each]
    assert max(map(len, said)) <= 110
    top = [each for each in ElementTree.fromstring(image).iter(f"{SVG}text") if each.text]
    lines = [float(each.get("y", 0)) for each in top if each.get("x") == "20"][:-1]
    panel = next(e for e in top if (e.text or "").startswith("held-out loss, nats"))
    assert max(lines) + 12 < float(panel.get("y", 0))
    assert "the alarm rang" in " ".join(said).lower() and "replay rose" in " ".join(said)
