"""Distillation: how many pairs came out, why the others were dropped, and ten of them to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.core.measurement import Measurement
from seemant.frontier.languages import language
from seemant.report.figures import find
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage
from seemant.report.tables import Cell, Row, details, figure_cell, table
from seemant.report.words import chip, languages_in

_UNREADABLE = "(not readable as a pair)"


def distillation(nodes: Sequence[Node]) -> Html | None:
    """Return yields and samples of every distillation; None where there was none."""
    parts = [part for node in of_stage(nodes, "distill") if (part := _one(node)) is not None]
    return join(parts) if parts else None


def _one(node: Node) -> Html | None:
    drawn: Mapping[str, Any] = json_of(node, "samples.json") or {}
    teacher = str(node.label("teacher") or node.manifest.config.get("teacher", "unknown"))
    weak = "A small teacher is weak. " if teacher.startswith("embedded:") else ""
    note = (
        f"Teacher: {teacher}. {weak}The checks judge form and whether the paragraph supports the "
        "answer, not meaning. Read the samples before trusting the yield; they were drawn by the "
        "study's seed, not chosen."
    )
    shown = [
        _samples(title, drawn[key], look)
        for key, title, look in (("kept", "Kept", ""), ("dropped", "Dropped", "dropped"))
        if drawn.get(key)
    ]
    return join(
        [
            el("p", note, class_="note"),
            _yields(node.manifest.measurements),
            el("div", *shown, class_="charts two") if shown else None,
        ]
    )


def _yields(given: Sequence[Measurement]) -> Html | None:
    """Return one row a count or share, one column a language."""
    names = list(dict.fromkeys((m.metric, m.unit, _reason(m)) for m in given if not m.timed))
    languages = languages_in({m.lang for m in given if m.lang})
    columns: list[str | None] = [*languages, *([None] if any(not m.lang for m in given) else [])]
    rows = list[Row]()
    for metric, unit, reason in names:
        same = [m for m in given if m.metric == metric and _reason(m) == reason]
        cells = [find(same, metric, lang) for lang in columns]
        title = metric.replace("_", " ") + (f": {reason}" if reason else "")
        digits = 0 if unit in ("count", "pairs", "paragraphs", "attempts") else 3
        shown = [figure_cell(cell, digits) for cell in cells]
        rows.append([f"{title}, {unit}" if digits else title, *shown])
    if not rows:
        return None
    heads = [language(code) if code else "all" for code in columns]
    return table(
        [["", *(Cell(head, "num") for head in heads)]], rows, caption="yield by reason, measured"
    )


def _reason(m: Measurement) -> str:
    return str(m.conditions.get("reason") or "")


def _samples(title: str, pairs: Sequence[Mapping[str, Any]], look: str) -> Html:
    items = [_sample(pair, look) for pair in pairs]
    return el("div", el("h3", f"{title}: {len(items)} samples"), *items)


def _sample(pair: Mapping[str, Any], look: str) -> Html:
    lang = str(pair.get("lang", ""))
    given = pair.get("paragraph")
    return el(
        "article",
        el("header", chip(lang), el("span", "; ".join(pair.get("reasons", ())), class_="meta")),
        el("p", pair.get("instruction") or _UNREADABLE, lang=lang, dir="auto", class_="question"),
        el("blockquote", pair.get("output") or _UNREADABLE, lang=lang, dir="auto"),
        details("the paragraph", el("p", given, lang=lang, dir="auto")) if given else None,
        class_=f"exchange {look}".strip(),
        data_lang=lang,
    )
