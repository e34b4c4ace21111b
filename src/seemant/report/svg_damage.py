"""What compression costs in one language: divergence over the size of the file."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from seemant.core.measurement import Measurement
from seemant.frontier.languages import language
from seemant.report.html import Html, el
from seemant.report.svg_axes import Frame, axes, chart, padded
from seemant.report.svg_frontier import BUBBLE, free_place
from seemant.report.words import significant, size

_LEAST = 1e-5  # nats a token: where the axis of logarithms ends


class Damaged(NamedTuple):
    """A point: the number in its bubble, its name, its bytes, and what it lost in the language.

    hurt: the frontier's guard calls it damaged in that language.
    """

    key: int
    name: str
    n_bytes: float
    kld: Measurement
    simulated: bool
    hurt: bool = False


def damage_chart(points: Sequence[Damaged], lang: str) -> Html | None:
    """Return the chart, None of fewer than two points.

    Filled: no file as small loses less. Hollow: one does. Dashed: simulated, its bytes are not
    those of its bits. Grey: damaged. The vertical axis is logarithmic.
    """
    if len(points) < 2:
        return None
    sizes = [point.n_bytes / 1e6 for point in points]
    ends = [_log(end) for point in points for end in _ends(point)]
    low, high = padded(min(sizes), max(sizes), 0.14)
    frame = Frame(360, 280, (max(low, 0.0), high), padded(min(ends), max(ends)))
    placed: list[tuple[float, float]] = []
    drawn = [
        _point(frame, point, beaten(point, points), lang, placed)
        for point in sorted(points, key=lambda each: (each.n_bytes, each.key))
    ]
    label = f"{language(lang)}: divergence over file size for {len(points)} variants"
    title = "divergence, nats a token (logarithms)"
    return chart(frame, label, axes(frame, "file, MB", title, _power), *drawn)


def beaten(point: Damaged, points: Sequence[Damaged]) -> bool:
    """Return whether a file that is no larger loses less; simulated ones beat nothing."""
    return any(
        other.n_bytes <= point.n_bytes and other.kld.value < point.kld.value
        for other in points
        if not other.simulated
    )


def _point(
    frame: Frame, point: Damaged, beaten: bool, lang: str, placed: list[tuple[float, float]]
) -> Html:
    x, y = frame.x(point.n_bytes / 1e6), frame.y(_log(point.kld.value))
    at, height = free_place(x, y, frame, placed)
    low, _, high = _ends(point)
    state = "shown" if point.simulated else "beaten" if beaten else "best"
    told = f"{point.name}: {significant(point.kld.value)}"
    if point.kld.ci_low is not None:
        told += f", 95 % interval {significant(low)} to {significant(high)}"
    return el(
        "g",
        el("title", f"{told}; {size(point.n_bytes)}"),
        el("line", x1=at, x2=at, y1=frame.y(_log(low)), y2=frame.y(_log(high)), class_="bar"),
        el("line", x1=x, x2=at, y1=y, y2=height, class_="leader")
        if (at, height) != (x, y)
        else None,
        el("circle", cx=at, cy=height, r=BUBBLE),
        el("text", point.key, x=at, y=height + 3.5, class_="key middle"),
        class_=f"point {state}{' damaged' if point.hurt else ''}",
        data_lang=lang,
    )


def _ends(point: Damaged) -> tuple[float, float, float]:
    value = point.kld.value
    low, high = point.kld.ci_low, point.kld.ci_high
    return (value if low is None else low, value, value if high is None else high)


def _log(value: float) -> float:
    return math.log10(max(value, _LEAST))


def _power(value: float) -> str:
    return significant(10**value, 2)
