"""A heat map: layers from left to right, a row a language, darker for more; log scale."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seemant.frontier.languages import language
from seemant.report.html import Html, el
from seemant.report.svg_axes import Frame, chart
from seemant.report.words import significant

DECADES = 3.0  # from white to full colour
_WIDTH, _LEFT, _TOP, _ROW, _BOTTOM = 360.0, 54.0, 16.0, 22.0, 30.0


@dataclass(frozen=True, slots=True)
class Heat:
    """One cell: its value, what is said of it on hovering, whether a ring marks it."""

    value: float
    told: str
    marked: bool = False


def heat_map(
    title: str,
    cells: Mapping[tuple[str, int], Heat],
    languages: Sequence[str],
    n_layers: int,
    top: float,
) -> Html:
    """Return one panel. cells: by (language, layer). top: the value of the full colour."""
    width = (_WIDTH - _LEFT - 4) / max(n_layers, 1)
    bottom = _TOP + _ROW * len(languages)
    parts: list[Html] = [el("text", title, x=_LEFT, y=10, class_="title")]
    for row, lang in enumerate(languages):
        y = _TOP + row * _ROW
        name = el("text", language(lang), x=_LEFT - 6, y=y + _ROW / 2 + 3.5, class_="tick end")
        parts.append(name)
        for layer in range(n_layers):
            if (cell := cells.get((lang, layer))) is not None:
                parts.append(_cell(cell, _LEFT + layer * width, y, width, top))
    step = max(1, math.ceil(n_layers / 12))
    for layer in range(0, n_layers, step):
        x = round(_LEFT + (layer + 0.5) * width, 1)
        parts.append(el("text", layer, x=x, y=bottom + 12, class_="tick middle"))
    middle = _LEFT + n_layers * width / 2
    parts.append(el("text", "layer", x=middle, y=bottom + 25, class_="title middle"))
    frame = Frame(_WIDTH, bottom + _BOTTOM, (0, n_layers), (0, len(languages)))
    return chart(frame, f"{title}: damage by layer and language", *parts)


def shade(value: float, top: float) -> float:
    """Return 0 to 1: how dark a value is; three decades below the top, and under 0, it is 0."""
    if value <= 0 or top <= 0:
        return 0.0
    return round(min(1.0, max(0.0, 1 + math.log10(value / top) / DECADES)), 3)


def scale_words(top: float) -> str:
    """Return what the colours mean: "from 0.0002 (white) to 0.2 nats a byte (full)"."""
    low = significant(top / 10**DECADES, 2)
    return f"from {low} nats a byte (white) to {significant(top, 2)} (full colour), logarithmic"


def _cell(cell: Heat, x: float, y: float, width: float, top: float) -> Html:
    return el(
        "g",
        el("title", cell.told),
        el(
            "rect",
            x=round(x + 0.5, 1),
            y=y + 0.5,
            width=round(max(width - 1, 1), 1),
            height=_ROW - 1,
            fill_opacity=shade(cell.value, top),
            class_="heat",
        ),
        el("circle", cx=round(x + width / 2, 1), cy=y + _ROW / 2, r=3, class_="heat-ring")
        if cell.marked
        else None,
    )
