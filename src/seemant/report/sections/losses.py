"""Loss curves of every student, and the losses with their intervals."""

from collections.abc import Sequence

from seemant.frontier.languages import language
from seemant.report.figures import find, subject_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, lines_of, of_stage
from seemant.report.svg_losses import LossLine, loss_chart
from seemant.report.tables import Cell, Row, figure_cell, table
from seemant.report.words import languages_in

_COLUMNS = (
    ("heldout_loss_before", "held-out before"),
    ("heldout_loss_after", "held-out after"),
    ("heldout_loss_change", "change, paired"),
)


def losses(nodes: Sequence[Node]) -> Html | None:
    """Return a chart a student and one table; None where nothing was trained."""
    figures, rows = [], list[Row]()
    for node in of_stage(nodes, "train"):
        subject = subject_of(node)
        drawn = loss_chart(lines_of(node, "losses.jsonl", LossLine), subject)
        if drawn is not None:
            figures.append(el("figure", el("figcaption", subject), drawn))
        given = node.manifest.measurements
        for lang in [None, *languages_in({m.lang for m in given if m.lang})]:
            cells = [find(given, metric, lang) for metric, _ in _COLUMNS]
            if any(cells):
                name = f"{subject}, {language(lang) if lang else 'all pairs'}"
                signed = (False, False, True)
                shown = [figure_cell(c, signed=s) for c, s in zip(cells, signed, strict=True)]
                rows.append([name, *shown])
    if not figures and not rows:
        return None
    legend = el(
        "p",
        el("span", "training", class_="key train"),
        " a step's own batch, as it came; ",
        el("span", "held-out", class_="key held"),
        " pairs of paragraphs that were never trained on.",
        class_="note",
    )
    head: list[Row] = [["student", *(Cell(title, "num") for _, title in _COLUMNS)]]
    caption = "held-out loss, nats a token, measured; 95 % intervals over paragraphs, none below 8"
    return join(
        [
            legend,
            el("div", *figures, class_="charts two"),
            table(head, rows, caption=caption) if rows else None,
        ]
    )
