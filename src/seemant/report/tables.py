"""Tables that read on a phone: there each row is a card, each cell under its column's name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seemant.core.measurement import Measurement
from seemant.report.html import Child, Html, el, join
from seemant.report.words import mark_of, number, spread_of


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: its content, a class for its look, columns that it spans."""

    content: Child
    look: str = ""
    span: int = 1
    lang: str | None = None


Row = Sequence[Cell | Child]


def table(
    heads: Sequence[Row], rows: Iterable[Row], *, caption: str = "", look: str = "", id: str = ""
) -> Html:
    """Return a table within its scrolling frame; the first cell of a row names the row."""
    told = _told(heads)
    body = [
        el(
            "tr",
            *(
                _cell(c, "th" if i == 0 else "td", head=told[i] if 0 < i < len(told) else None)
                for i, c in enumerate(r)
            ),
        )
        for r in rows
    ]
    return el(
        "div",
        el(
            "table",
            el("caption", caption) if caption else None,
            el("thead", *(el("tr", *(_cell(c, "th", "col") for c in head)) for head in heads)),
            el("tbody", *body),
            class_=look or None,
            id=id or None,
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption or "table",
    )


def figure_cell(
    measurement: Measurement | None, digits: int = 3, *, signed: bool = False, look: str = ""
) -> Cell:
    """Return a number with its interval beneath, labelled where it was not measured here.

    Where there were too few observations for an interval, it says how many there were.
    """
    if measurement is None:
        return Cell("–", "num none")
    ends = spread_of(measurement, digits)
    shown = number(measurement.value, digits, signed=signed)
    return Cell(join([shown, mark_of(measurement), ends]), f"num {look}".strip())


def details(summary: Child, *content: Html | None, open_: bool = False) -> Html:
    """Return a part of the page that opens on a click."""
    return el("details", el("summary", summary), *content, open=open_)


def _told(heads: Sequence[Row]) -> list[str]:
    """Return what each column is called where its cells stand alone: "KLD, Hindi: weights"."""
    lines = []
    for head in heads:
        line: list[str] = []
        for given in head:
            cell = given if isinstance(given, Cell) else Cell(given)
            line += [str(cell.content or "")] * cell.span
        lines.append(line)
    return [": ".join(part for part in parts if part) for parts in zip(*lines, strict=False)]


def _cell(given: Cell | Child, tag: str, scope: str | None = None, head: str | None = None) -> Html:
    cell = given if isinstance(given, Cell) else Cell(given)
    return el(
        tag,
        cell.content,
        class_=cell.look or None,
        colspan=cell.span if cell.span > 1 else None,
        scope=(scope or "row") if tag == "th" else None,
        data_lang=cell.lang,
        data_head=head or None,
    )
