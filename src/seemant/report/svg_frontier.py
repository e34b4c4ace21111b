"""The frontier in one language: a score with its interval over the size of the file."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.languages import language
from seemant.report.html import Html, el
from seemant.report.svg_axes import Frame, axes, chart, padded, plain
from seemant.report.words import number, size

BUBBLE = 9.0  # pixels; holds a two-digit number


def frontier_chart(
    rows: Sequence[tuple[int, Mapping[str, Any]]], lang: str, title: str, zero_is: str = "chance"
) -> Html | None:
    """Return the chart of a language, None where no candidate has a quality and a file.

    rows: (number shown in the bubble, candidate of `frontier.json`). Filled: nothing deployable
    beats it on all axes. Hollow: beaten. Dashed: shown only, it cannot be deployed. Grey and struck
    through: the divergence guard says that compression damaged it in this language.

    title: of the vertical axis; zero_is: what stands at its zero.
    """
    shown = [(key, row) for key, row in rows if row["quality"].get(lang) and size_of(row)]
    if not shown:
        return None
    frame = Frame(360, 280, _x_range(shown), _y_range(shown, lang))
    zero = None
    if frame.y_range[0] < 0 < frame.y_range[1]:
        y = frame.y(0)
        zero = el("line", x1=frame.left, x2=frame.width - frame.right, y1=y, y2=y, class_="zero")
    line = [row for _, row in _by_size(shown) if row["on_frontier"] and not row.get("damaged")]
    path = " ".join(f"{_x(frame, row)},{frame.y(row['quality'][lang]['value'])}" for row in line)
    placed: list[tuple[float, float]] = []
    points = [_point(frame, key, row, lang, placed) for key, row in _by_size(shown)]
    label = f"{language(lang)}: {title} over file size for {len(shown)} candidates"
    return chart(
        frame,
        label,
        axes(frame, "file, MB", title, lambda value: plain(value) if value else zero_is),
        zero,
        el("polyline", points=path, class_="front") if len(line) > 1 else None,
        *points,
    )


def size_of(row: Mapping[str, Any]) -> float | None:
    """Return a candidate's file size in bytes, None where it has no file."""
    value = row.get("file_bytes")
    return float(value) if value else None


def _x(frame: Frame, row: Mapping[str, Any]) -> float:
    return frame.x((size_of(row) or 0.0) / 1e6)


def _by_size(shown: Sequence[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, Any]]:
    return sorted(shown, key=lambda item: (size_of(item[1]) or 0.0, item[0]))


def _x_range(shown: Sequence[tuple[int, Mapping[str, Any]]]) -> tuple[float, float]:
    sizes = [(size_of(row) or 0.0) / 1e6 for _, row in shown]
    low, high = padded(min(sizes), max(sizes), 0.14)
    return max(low, 0.0), high


def _y_range(shown: Sequence[tuple[int, Mapping[str, Any]]], lang: str) -> tuple[float, float]:
    ends = [0.0]
    for _, row in shown:
        q = row["quality"][lang]
        ends += [v for v in (q["value"], q["ci_low"], q["ci_high"]) if v is not None]
    return padded(min(ends), max(ends))


def _point(
    frame: Frame,
    key: int,
    row: Mapping[str, Any],
    lang: str,
    placed: list[tuple[float, float]],
) -> Html:
    q = row["quality"][lang]
    x, y = _x(frame, row), frame.y(q["value"])
    at, height = free_place(x, y, frame, placed)
    front = row["on_frontier"] and not row.get("damaged")
    state = "best" if front else "beaten" if row["deployable"] else "shown"
    hurt = lang in row.get("damaged", ())
    low, high = q["ci_low"], q["ci_high"]
    ends = f", 95 % interval {number(low)} to {number(high)}" if low is not None else ""
    told = f"{row['subject']}: {number(q['value'])}{ends}; {size(size_of(row))}"
    told += "; damaged by compression in this language" if hurt else ""
    bar = leader = None
    if low is not None:
        bar = el("line", x1=at, x2=at, y1=frame.y(low), y2=frame.y(high), class_="bar")
    if abs(at - x) > 0.5 or height != y:
        leader = el("line", x1=x, x2=at, y1=y, y2=height, class_="leader")
    return el(
        "g",
        el("title", told),
        bar,
        leader,
        el("circle", cx=at, cy=height, r=BUBBLE),
        el("text", key, x=at, y=height + 3.5, class_="key middle"),
        _strike(at, height) if hurt else None,
        class_=f"point {state}{' damaged' if hurt else ''}",
        data_lang=lang,
    )


def _strike(x: float, y: float) -> Html:
    return el("line", x1=x - 6, x2=x + 6, y1=y + 6, y2=y - 6, class_="strike")


def free_place(
    x: float, y: float, frame: Frame, placed: list[tuple[float, float]]
) -> tuple[float, float]:
    """Return the nearest place where a bubble covers no earlier one: aside, then up or down."""
    step = BUBBLE / 2
    aside = [step * ((k + 1) // 2) * (1 if k % 2 else -1) for k in range(140)]
    rows = [2 * BUBBLE * ((k + 1) // 2) * (1 if k % 2 else -1) for k in range(24)]
    for dy in rows:
        for dx in aside:
            at, height = x + dx, y + dy
            inside = (
                frame.left + BUBBLE <= at <= frame.width - frame.right - BUBBLE
                and frame.top + BUBBLE <= height <= frame.height - frame.bottom - BUBBLE
            )
            clear = all(
                abs(at - a) > 1.9 * BUBBLE or abs(height - b) > 1.9 * BUBBLE for a, b in placed
            )
            if clear and (inside or (dy == 0 and dx == 0)):
                placed.append((at, height))
                return round(at, 1), round(height, 1)
    placed.append((x, y))
    return x, y
