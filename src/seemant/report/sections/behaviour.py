"""Behaviour in figures: each student before and after, in each language."""

from collections.abc import Sequence

from seemant.core.measurement import Measurement
from seemant.frontier.languages import language
from seemant.report.figures import find, subject_of, variant_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, named, of_stage
from seemant.report.sections.transcripts import diagnosis_name
from seemant.report.tables import Cell, Row, table
from seemant.report.words import SHARPNESS, chip, interval, languages_in, mark_of, number, spread_of

_METRICS = (
    ("accuracy", "correct, share"),
    ("pmi_margin", "PMI margin, nats/byte"),
    ("choice_accuracy", "right choice, share"),
    ("script_followed", "script followed, share"),
    ("repetition", "repetition, share"),
    ("news_likeness", "news-likeness, nats/n-gram"),
)


_ALPHA = 0.05


def behaviour(nodes: Sequence[Node]) -> Html | None:
    """Return before/after tables and the diagnoses; None where no student has a "before"."""
    parts, n_changes = [], 0
    for node in of_stage(nodes, "probe"):
        earlier = named(nodes, node.source("before"))
        if earlier is not None and variant_of(node, nodes) is None:
            title = f"{subject_of(earlier)} → {subject_of(node)}"
            found = [_table(earlier, node, title), _diagnoses(node)]
            shown = {f"{metric}_change" for metric, _ in _METRICS}
            n_changes += sum(m.metric in shown and bool(m.lang) for m in node.manifest.measurements)
            parts.append(join([el("h3", title), *found]))
    if not parts:
        return None
    note = (
        "Measured here; 95 % intervals over probe families. Before and after have their own "
        "too, in the list of all measurements. The change is paired, question by question; it is "
        "bold where its interval leaves zero out and flipping the signs of whole families gives "
        f"p < {_ALPHA:g}. These are {n_changes} comparisons, not corrected for their number: "
        "about one in twenty would be bold by chance alone."
    )
    return join([el("p", note, class_="note"), el("p", SHARPNESS, class_="note"), *parts])


def _table(before: Node, after: Node, title: str) -> Html:
    then, now = before.manifest.measurements, after.manifest.measurements
    languages = languages_in({m.lang for m in now if m.lang})
    rows = list[Row]()
    for metric, name in _METRICS:
        cells = [
            _cell(find(then, metric, g), find(now, metric, g), find(now, f"{metric}_change", g))
            for g in languages
        ]
        if any(cell.look != "num none" for cell in cells):
            rows.append([name, *cells])
    head: Row = ["measure", *(Cell(language(code), "num", lang=code) for code in languages)]
    caption = f"{title}: before → after, then the paired change with its interval"
    return table([head], rows, caption=caption)


def _cell(
    before: Measurement | None, after: Measurement | None, change: Measurement | None
) -> Cell:
    if after is None:
        return Cell("–", "num none")
    shown = number(after.value)
    if before is not None:
        shown = f"{number(before.value)} → {shown}"
    own = spread_of(after)
    parts: list[Html | str | None] = [shown, mark_of(after)]
    if change is None:
        return Cell(join([*parts, own]), "num")
    ends = interval(change.ci_low, change.ci_high)
    around = [" (", ends, ")"] if ends else []
    moved = el(
        "span",
        el("b", number(change.value, signed=True)),
        *around,
        class_=f"change {_look(change)}",
    )
    return Cell(join([*parts, moved]), "num")


def _look(change: Measurement) -> str:
    """Return a class for a change whose interval leaves zero out and whose p value is small."""
    if change.ci_low is None or change.ci_high is None:
        return ""
    p = change.conditions.get("p_sign_flip")
    rare = isinstance(p, int | float) and p < _ALPHA
    return "sure" if rare and (change.ci_low > 0 or change.ci_high < 0) else ""


def _diagnoses(node: Node) -> Html | None:
    """Return one bar of shares before and one after, for each language."""
    given = [m for m in node.manifest.measurements if m.metric.startswith("diagnosis_")]
    languages = languages_in({m.lang for m in given if m.lang})
    rows: list[Html] = []
    for lang in languages:
        own = [m for m in given if m.lang == lang]
        before = [(m.metric, m.conditions.get("share_before")) for m in own]
        after = [(m.metric, m.value) for m in own]
        rows.append(el("div", chip(lang), class_="bar-lang"))
        rows.append(_bar("before", before, lang))
        rows.append(_bar("after", after, lang))
    if not rows:
        return None
    labels = [
        m.metric.removeprefix("diagnosis_")
        for m in given
        if m.lang == languages[0] and any(_present(m, each) for each in given)
    ]
    legend = [el("span", diagnosis_name(d), class_="dx", data_dx=d) for d in labels]
    return join(
        [
            el("p", "Diagnoses, share of answers: ", *legend, class_="legend"),
            el("div", *rows, class_="bars"),
        ]
    )


def _present(m: Measurement, other: Measurement) -> bool:
    before = other.conditions.get("share_before")
    return m.metric == other.metric and bool(other.value or before)


def _bar(when: str, shares: Sequence[tuple[str, object]], lang: str) -> Html:
    parts = []
    told = []
    for metric, share in shares:
        label = metric.removeprefix("diagnosis_")
        if isinstance(share, int | float) and share > 0:
            words = f"{diagnosis_name(label)} {share:.0%}"
            told.append(words)
            shown = f"{share:.0%}" if share >= 0.07 else ""
            parts.append(
                el(
                    "span",
                    shown,
                    class_="part",
                    data_dx=label,
                    style=f"flex-grow:{share:.4f}",
                    title=words,
                )
            )
    label = f"{language(lang)} {when}: {', '.join(told)}"
    return join(
        [
            el("span", when, class_="bar-when"),
            el("div", *parts, class_="stack", role="img", aria_label=label),
        ]
    )
