"""What compression takes first from a tuned model: taught facts, own facts, conduct, style."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.compress.attribution.lost_first import KINDS, Kept
from seemant.compress.attribution.style_kept import StyleKept
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, lines_of, of_stage
from seemant.report.tables import Cell, Row, table
from seemant.report.words import MINUS, interval, number, spread

_WORDS = {
    "taught": "facts that tuning taught",
    "own": "facts the base knew",
    "conduct": "conduct (identity, format, language)",
}
_TRAITS = {
    "news_score": "news-likeness",
    "script_share": "script",
    "repetition": "repetition",
    "n_aksharas": "length",
}


def lost_first(nodes: Sequence[Node]) -> Html | None:
    """Return the tables of every student that was read so, None of none."""
    found = [
        join([_verdict(node), _table(node, kept), _style(node)])
        for node in of_stage(nodes, "lost_first")
        if (kept := lines_of(node, "kept.jsonl", Kept))
    ]
    if not found:
        return None
    note = el(
        "p",
        "Kept: the PMI margins that are left, over those of the tuned model before compression, on "
        "the questions that it chose rightly; 1 is all. Small margins flip first, so kinds are "
        "compared at equal margins, too.",
        class_="note",
    )
    return join([note, *found])


def _verdict(node: Node) -> Html:
    told: Mapping[str, Any] = json_of(node, "lost_first.json") or {}
    first = told.get("lost_first")
    words = f"Lost first: {_WORDS.get(str(first), str(first))}." if first else "Undecided."
    items = [_difference(each) for each in told.get("differences") or []]
    return join([el("p", el("strong", words)), el("ul", *items) if items else None])


def _difference(each: Mapping[str, Any]) -> Html:
    first, second = (_WORDS.get(str(each[key]), str(each[key])) for key in ("first", "second"))
    plain = f"plainly {number(each['difference'], signed=True)}"
    if each.get("unmatched", 0) >= 1:
        return el("li", f"{first} {MINUS} {second}: no margins in common to compare at; {plain}")
    low, high = each["matched_low"], each["matched_high"]
    ends = "too few for an interval" if low is None else f"{number(low)} to {number(high)}"
    matched = f"{number(each['matched'], signed=True)} ({ends}) at equal margins"
    return el("li", f"{first} {MINUS} {second}: {matched}; {plain}")


def _table(node: Node, kept: Sequence[Kept]) -> Html:
    own = [row for row in kept if row.lang is None]
    points = dict.fromkeys((row.subject, row.bits) for row in own)
    by_key = {(row.subject, row.kind): row for row in own}
    body: list[Row] = [
        [
            join([el("b", subject), el("span", f"{bits:.2f} bits/weight", class_="how")]),
            *(_figure(by_key.get((subject, kind))) for kind in KINDS),
        ]
        for subject, bits in points
    ]
    heads: list[Row] = [["variant", *(Cell(_WORDS[kind], "num") for kind in KINDS)]]
    return table(heads, body, caption=f"{node.name}: kept, all languages")


def _figure(row: Kept | None) -> Cell:
    if row is None:
        return Cell("–", "num none")
    ends = spread(row.kept_low, row.kept_high, row.method, row.n_families)
    return Cell(join([number(row.kept), ends]), "num")


def _style(node: Node) -> Html | None:
    rows = lines_of(node, "style.jsonl", StyleKept)
    if not rows:
        return None
    body: list[Row] = [
        [
            join([el("b", row.subject), el("span", f"{row.bits:.2f} bits/weight", class_="how")]),
            _TRAITS.get(row.trait, row.trait),
            Cell(number(row.shift, signed=True), "num"),
            Cell(join([number(row.kept), interval(row.low, row.high)]), "num"),
        ]
        for row in rows
    ]
    heads: list[Row] = [["variant", "trait", Cell("tuning's shift", "num"), Cell("kept", "num")]]
    return table(heads, body, caption="style of the replies: what is left of tuning's shift")
