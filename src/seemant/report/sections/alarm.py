"""What the behaviour alarm saw while each student was tuned."""

from collections.abc import Sequence

from seemant.report.figures import subject_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, lines_of, of_stage
from seemant.report.tables import Cell, Row, table
from seemant.report.words import number, sentence
from seemant.train.alarm.figure import behaviour_svg
from seemant.train.alarm.ring import Look

_HEAD: list[Row] = [
    ["student", Cell("step", "num"), "what it said", Cell("held-out loss", "num"), "why"]
]
_SAID = {"ring": "ring", "note": "note"}


def alarm(nodes: Sequence[Node]) -> Html | None:
    """Return the figure of every student that was watched and what it said, None of none."""
    figures, rows = [], list[Row]()
    for node in of_stage(nodes, "train"):
        looks = lines_of(node, "alarm.jsonl", Look)
        if len(looks) < 2:
            continue
        subject = subject_of(node)
        # Our own markup, made here from the looks: its texts are escaped where it is written.
        figures.append(el("figure", Html(behaviour_svg(looks, subject))))
        rows += _said(subject, looks)
    if not figures:
        return None
    note = el(
        "p",
        "At fixed steps the student answered 48 questions that it never trained on, by likelihood "
        "alone. A ring: a signal fell beyond a bound that holds for all looks of the run together, "
        "while the held-out loss fell. A note: a signal fell, and the loss did not look healthy.",
        class_="note",
    )
    return join([note, *figures, table(_HEAD, rows, caption="what the alarm said")])


def _said(subject: str, looks: Sequence[Look]) -> list[Row]:
    """Return a row a look that was not quiet, one row of a run whose looks all were."""
    loud = [look for look in looks if look.verdict in _SAID]
    if not loud:
        last = looks[-1]
        quiet = f"quiet in all {last.number} looks"
        return [[subject, Cell(str(last.step), "num"), quiet, _loss(last), ""]]
    return [
        [
            subject,
            Cell(str(look.step), "num"),
            _SAID[look.verdict],
            _loss(look),
            sentence(look.why),
        ]
        for look in loud
    ]


def _loss(look: Look) -> Cell:
    return Cell(number(look.heldout_loss), "num")
