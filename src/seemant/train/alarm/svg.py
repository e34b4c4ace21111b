"""Hand-written SVG: elements whose texts are escaped, and a panel with a scale."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

MINUS = "\u2212"
# What XML cannot hold, and marks that reorder other text.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def tag(name: str, *children: str, _text: str = "", **attributes: str | float) -> str:
    """Return an element. children: elements, as they are; _text: words, escaped.

    Attribute names: a trailing underscore is dropped (`class_`), others become hyphens.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_said(value))}"'
        for key, value in attributes.items()
    )
    inside = "".join(children) + _escaped(_text)
    return f"<{name}{told}>{inside}</{name}>" if inside else f"<{name}{told}/>"


def text(words: str, x: float, y: float, kind: str = "") -> str:
    """Return words at a place."""
    kind = kind.strip()
    return tag("text", _text=words, x=x, y=y, **({"class_": kind} if kind else {}))


@dataclass(frozen=True, slots=True)
class Panel:
    """A plotting area: data ranges and the pixels of its edges; y grows upwards."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float
    right: float
    top: float
    bottom: float

    def x(self, value: float) -> float:
        """Return the pixel of a step."""
        low, high = self.x_range
        return round(self.left + (value - low) / (high - low) * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high = self.y_range
        return round(self.bottom - (value - low) / (high - low) * (self.bottom - self.top), 1)

    def grid(self, n: int = 5) -> list[str]:
        """Return lines at round values, and what they are."""
        found = []
        for value in round_values(*self.y_range, n):
            found.append(self.across(value, "grid"))
            found.append(text(_number(value), self.left - 7, self.y(value) + 4, "soft end"))
        return found

    def steps(self, y: float) -> list[str]:
        """Return round steps below the panel."""
        values = [v for v in round_values(*self.x_range, 8) if v == int(v)]
        return [text(f"{v:g}", self.x(v), y, "soft middle") for v in values]

    def across(self, value: float, kind: str) -> str:
        """Return a line at a value."""
        y = self.y(value)
        return tag("line", x1=self.left, x2=self.right, y1=y, y2=y, class_=kind)

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> str:
        """Return a curve; of fewer than two points nothing."""
        if len(points) < 2:
            return ""
        path = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        return tag("polyline", points=path, class_=kind)

    def bar(self, x: float, low: float, high: float, kind: str) -> str:
        """Return an interval."""
        at = self.x(x)
        return tag("line", x1=at, x2=at, y1=self.y(low), y2=self.y(high), class_=kind)

    def dot(self, x: float, y: float, kind: str, what: str) -> str:
        """Return a point that says what it is when it is pointed at."""
        said = tag("title", _text=what)
        return tag("circle", said, cx=self.x(x), cy=self.y(y), r=3.2, class_=kind)


def round_values(low: float, high: float, n: int) -> list[float]:
    """Return round values within a range, about n: steps of 1, 2 or 5 times 10^k."""
    rough = (high - low) / max(n, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def signed(value: float) -> str:
    """Return a change with its sign, three places."""
    return f"{value:+.3f}".replace("-", MINUS)


def _escaped(words: str) -> str:
    return escape(_UNFIT.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", words), quote=True)


def _said(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _number(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)
