"""Axes of a small chart: ticks at round numbers, grid lines, and data coordinates to pixels."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from seemant.report.html import Html, el, join
from seemant.report.words import MINUS


@dataclass(frozen=True, slots=True)
class Frame:
    """A plotting area in pixels and the data range that it shows; y grows upwards."""

    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float = 46
    right: float = 12
    top: float = 14
    bottom: float = 38

    def x(self, value: float) -> float:
        """Return the pixel of a data value on the horizontal axis."""
        low, high = self.x_range
        span = self.width - self.left - self.right
        return round(self.left + (value - low) / (high - low) * span, 1)

    def y(self, value: float) -> float:
        """Return the pixel of a data value on the vertical axis."""
        low, high = self.y_range
        span = self.height - self.top - self.bottom
        return round(self.height - self.bottom - (value - low) / (high - low) * span, 1)


def padded(low: float, high: float, share: float = 0.08) -> tuple[float, float]:
    """Return a range a little larger than the data's; never empty."""
    pad = (high - low) * share or abs(high) * share or 1.0
    return low - pad, high + pad


def ticks(low: float, high: float, n: int = 6) -> list[float]:
    """Return round numbers within a range, about n of them: steps of 1, 2 or 5 times 10^k."""
    rough = (high - low) / max(n, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def axes(
    frame: Frame, x_title: str, y_title: str, say: Callable[[float], str] | None = None
) -> Html:
    """Return grid lines, tick labels and titles."""
    say = say or plain
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    parts: list[Html] = []
    for value in ticks(*frame.y_range):
        y = frame.y(value)
        parts.append(el("line", x1=frame.left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(el("text", say(value), x=frame.left - 6, y=y + 3.5, class_="tick end"))
    for value in ticks(*frame.x_range, 5):
        x = frame.x(value)
        parts.append(el("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(el("text", plain(value), x=x, y=bottom + 16, class_="tick middle"))
    parts.append(el("line", x1=frame.left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    middle = (frame.left + right) / 2
    parts.append(el("text", x_title, x=middle, y=frame.height - 6, class_="title middle"))
    parts.append(el("text", y_title, x=4, y=9, class_="title"))
    return join(parts)


def plain(value: float) -> str:
    """Return a tick's number without needless digits."""
    return f"{value:g}".replace("-", MINUS)


def chart(frame: Frame, label: str, *parts: Html | None) -> Html:
    """Return an SVG image that scales with its column and tells its content to a screen reader."""
    return el(
        "svg",
        el("title", label),
        *parts,
        viewBox=f"0 0 {frame.width:g} {frame.height:g}",
        role="img",
        aria_label=label,
        class_="chart",
    )
