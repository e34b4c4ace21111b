"""The experiment: its graph, and the same as a table."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node
from seemant.report.svg_graph import Box, graph
from seemant.report.tables import Cell, details, table
from seemant.report.words import duration, size

# A study's nodes follow each other closely; a longer silence parts an earlier run from the last.
_PAUSE = timedelta(minutes=2)


def experiment(nodes: Sequence[Node], config: ReportConfig) -> Html:
    """Return the graph with its table."""
    old = made_earlier(nodes)
    extra = [edge.partition(">") for edge in config.graph]
    boxes = []
    for node in nodes:
        needs = [name for _, name in node.needs]
        needs += [a for a, _, b in extra if b == node.name and a not in needs]
        note = f"{node.stage} · {duration(node.manifest.wall_s)}"
        told = f"{node.name}: {note}; made {node.manifest.created}"
        earlier = node.name in old
        told += "; reused, made in an earlier run" if earlier else ""
        boxes.append(Box(node.name, node.stage, tuple(needs), note, earlier, told))
    legend = el(
        "p",
        "A box is a node: its name, its stage, the time it took when it was run. Lines that follow "
        "from others are left out; the table has them all. "
        + ("A dashed box was reused from an earlier run." if old else "None was reused."),
        class_="note",
    )
    rows = [_row(node, box) for node, box in zip(nodes, boxes, strict=True)]
    heads = [["node", "stage", "needs", "took", "CPU", "peak memory", "files", "made"]]
    return join(
        [
            legend,
            el("div", graph(boxes), class_="wide"),
            _steps(boxes),
            details("The graph as a table", table(heads, rows, caption="nodes of the study")),
        ]
    )


def _steps(boxes: Sequence[Box]) -> Html:
    """Return the nodes as a list, which a phone shows in place of the graph."""
    items = [
        el(
            "li",
            el("b", box.name),
            el("span", box.note, class_="how"),
            el("span", f"after {', '.join(box.needs)}", class_="how") if box.needs else None,
            data_stage=box.stage,
        )
        for box in boxes
    ]
    return el("ol", *items, class_="steps")


def made_earlier(nodes: Sequence[Node]) -> set[str]:
    """Return the nodes that were made before the last run of the study began.

    Read off the manifests: sorted by when they ended, a run is a chain without a pause.
    """
    spans = []
    for node in nodes:
        end = datetime.fromisoformat(node.manifest.created)
        spans.append((end - timedelta(seconds=node.manifest.wall_s), end, node.name))
    spans.sort(key=lambda span: span[1], reverse=True)
    earlier: set[str] = set()
    begin = spans[0][0] if spans else None
    for start, end, name in spans:
        assert begin is not None
        if earlier or begin - end > _PAUSE:
            earlier.add(name)
        else:
            begin = min(begin, start)
    return earlier


def _row(node: Node, box: Box) -> list[Cell | str]:
    m = node.manifest
    return [
        node.name,
        node.stage,
        ", ".join(box.needs) or "–",
        Cell(duration(m.wall_s), "num"),
        Cell(duration(m.cpu_s), "num"),
        Cell(size(m.peak_rss_bytes), "num"),
        Cell(size(sum(file.bytes for file in m.files)), "num"),
        m.created.replace("T", " ").removesuffix("+00:00") + (" (reused)" if box.earlier else ""),
    ]
