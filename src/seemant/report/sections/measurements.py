"""Every measurement of the study, with its origin and interval, in one searchable fold."""

from collections.abc import Mapping, Sequence

from seemant.core.measurement import Measurement
from seemant.report.figures import subject_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, named
from seemant.report.tables import Cell, Row, details, table
from seemant.report.words import chip, number, origin_badge, significant

_HEADS = (
    "subject",
    "metric",
    "lang",
    "value",
    "unit",
    "95 % interval",
    "how",
    "n (clusters)",
    "origin",
    "conditions",
    "node",
)


def all_measurements(nodes: Sequence[Node]) -> Html | None:
    """Return the fold; None where nothing was measured."""
    rows = [
        _row(node, m, _compared_with(node, nodes, m))
        for node in nodes
        for m in node.manifest.measurements
    ]
    if not rows:
        return None
    counts: dict[str, int] = {}
    for node in nodes:
        for m in node.manifest.measurements:
            counts[m.origin] = counts.get(m.origin, 0) + 1
    told = [
        join([origin_badge(origin), f" {number(float(n), 0)} "])
        for origin, n in sorted(counts.items())
    ]
    search = el(
        "div",
        el("input", type="search", placeholder="search", aria_label="search the measurements"),
        el("output", aria_live="polite"),
        class_="filters",
        data_target="all-measurements",
    )
    explain = el(
        "p",
        *told,
        "Measured: here, by this study. Predicted: by a named model with its known error. "
        "Reported: somebody else's figure, with its source.",
        class_="note",
    )
    full = table([_HEADS], rows, caption="all measurements", look="all", id="all-measurements")
    return join([explain, details(f"All {len(rows):,} measurements", search, full)])


def _compared_with(node: Node, nodes: Sequence[Node], m: Measurement) -> str:
    """Return the subject that a change is counted from, "" for what is no change of a probe.

    A variant's "before" may be the student that it was made from, or the model before tuning.
    """
    earlier = named(nodes, node.source("before"))
    if earlier is None or not m.metric.endswith("_change"):
        return ""
    return f"from {subject_of(earlier, nodes)} ({earlier.name})"


def _row(node: Node, m: Measurement, compared: str) -> Row:
    ends = ""
    if m.ci_low is not None and m.ci_high is not None:
        ends = f"{significant(m.ci_low)} to {significant(m.ci_high)}"
    count = str(m.n) if m.n_clusters is None else f"{m.n} ({m.n_clusters})"
    return [
        m.subject,
        join([m.metric, el("span", compared, class_="how")]) if compared else m.metric,
        chip(m.lang) if m.lang else "",
        Cell(significant(m.value), "num"),
        m.unit,
        Cell(ends, "num"),
        Cell(m.ci_method, "small"),
        Cell(count, "num"),
        join([origin_badge(m.origin), f" {m.source}" if m.source else None]),
        Cell(_conditions(m.conditions), "small"),
        node.name,
    ]


def _conditions(given: Mapping[str, object]) -> str:
    told = [f"{k}={significant(v) if isinstance(v, float) else v}" for k, v in given.items()]
    return ", ".join(told)
