"""The experiment graph: nodes from left to right, each behind all that it needs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from seemant.report.html import Html, el

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 126.0, 40.0, 32.0, 12.0
_LETTERS = 17  # of a node's name that fit its box


@dataclass(frozen=True, slots=True)
class Box:
    """A node to draw: its name, its stage, what it needed, a short note under its name."""

    name: str
    stage: str
    needs: tuple[str, ...]
    note: str
    earlier: bool
    told: str


def graph(boxes: Sequence[Box]) -> Html:
    """Return the graph; boxes stand in an order in which each is behind its needs."""
    place = layout({box.name: box.needs for box in boxes})
    direct = reduced({box.name: [n for n in box.needs if n in place] for box in boxes})
    n_columns = 1 + max((column for column, _ in place.values()), default=0)
    n_rows = 1 + max((row for _, row in place.values()), default=0.0)
    width = n_columns * (_WIDTH + _GAP_X) - _GAP_X + 4
    height = n_rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 4
    edges = [
        _edge(place[need], place[box.name], box, need) for box in boxes for need in direct[box.name]
    ]
    label = f"experiment graph of {len(boxes)} nodes; the table below says the same in words"
    return el(
        "svg",
        el("title", label),
        *edges,
        *(_box(box, *place[box.name]) for box in boxes),
        viewBox=f"0 0 {width:g} {height:g}",
        style=f"max-width:{width:g}px",
        role="img",
        aria_label=label,
        class_="graph",
    )


def reduced(needs: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return the needs that no other need implies: the transitive reduction of the graph."""
    behind: dict[str, set[str]] = {}
    for name, wanted in needs.items():
        behind[name] = set(wanted).union(*(behind.get(need, set()) for need in wanted))
    return {
        name: [n for n in wanted if not any(n in behind.get(other, ()) for other in wanted)]
        for name, wanted in needs.items()
    }


def layout(needs: Mapping[str, Collection[str]]) -> dict[str, tuple[int, float]]:
    """Return each node's (column, row).

    Its column is the longest way from a node without needs; within a column nodes stand by the
    mean row of what they need (Sugiyama, Tagawa & Toda 1981, the barycentre rule, one sweep), and
    short columns stand in the middle.
    """
    column: dict[str, int] = {}
    for name, wanted in needs.items():
        column[name] = 1 + max((column[need] for need in wanted if need in column), default=-1)
    columns: dict[int, list[str]] = {}
    for name, c in column.items():
        columns.setdefault(c, []).append(name)
    tallest = max((len(names) for names in columns.values()), default=0)
    place: dict[str, tuple[int, float]] = {}
    for c in sorted(columns):
        names = _by_middle(columns[c], needs, place)
        top = (tallest - len(names)) / 2
        place |= {name: (c, top + index) for index, name in enumerate(names)}
    return place


def _by_middle(
    names: Sequence[str],
    needs: Mapping[str, Collection[str]],
    place: Mapping[str, tuple[int, float]],
) -> list[str]:
    def middle(name: str) -> float:
        rows = [place[need][1] for need in needs[name] if need in place]
        return sum(rows) / len(rows) if rows else 0.0

    return sorted(names, key=middle)


def _at(column: int, row: float) -> tuple[float, float]:
    return 2 + column * (_WIDTH + _GAP_X), 2 + row * (_HEIGHT + _GAP_Y)


def _edge(a: tuple[int, float], b: tuple[int, float], box: Box, need: str) -> Html:
    x1, y1 = _at(*a)
    x2, y2 = _at(*b)
    x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT / 2, y2 + _HEIGHT / 2
    bend = min((x2 - x1) / 2, 60)
    path = f"M{x1:g},{y1:g} C{x1 + bend:g},{y1:g} {x2 - bend:g},{y2:g} {x2:g},{y2:g}"
    return el("path", el("title", f"{need} → {box.name}"), d=path, class_="edge")


def _box(box: Box, column: int, row: float) -> Html:
    x, y = _at(column, row)
    name = box.name if len(box.name) <= _LETTERS else box.name[: _LETTERS - 1] + "…"
    return el(
        "g",
        el("title", box.told),
        el("rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=7),
        el("text", name, x=x + 10, y=y + 17, class_="name"),
        el("text", box.note, x=x + 10, y=y + 31, class_="note"),
        class_=f"node{' earlier' if box.earlier else ''}",
        data_stage=box.stage,
    )
