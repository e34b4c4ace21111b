"""One number for each candidate, the same in every table, chart and card of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.report.figures import subject_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage


def numbers(nodes: Sequence[Node]) -> dict[str, int]:
    """Return the number of each candidate by its subject, from 1.

    First those of the frontier in the order of its table, then variants that are in none, the
    largest file first.
    """
    found = [str(row["subject"]) for row in candidates(nodes)]
    variants = sorted(of_stage(nodes, "compress", "qat"), key=_size)
    found += [subject_of(node) for node in variants]
    return {subject: number for number, subject in enumerate(dict.fromkeys(found), start=1)}


def candidates(nodes: Sequence[Node]) -> list[Mapping[str, Any]]:
    """Return the candidates of the study's frontier, those that stand best first."""
    for node in of_stage(nodes, "frontier"):
        if found := json_of(node, "frontier.json"):
            return sorted(found["candidates"], key=_standing)
    return []


def numbered(subject: str, known: Mapping[str, int]) -> Html:
    """Return a candidate's name with its number before it, where it has one."""
    number = known.get(subject)
    mark = el("b", number, class_="no") if number else None
    return join([mark, " " if number else None, el("span", subject, class_="who")])


def _standing(row: Mapping[str, Any]) -> tuple[str, bool, bool, bool, float, str]:
    return (
        row.get("ranking", ""),
        bool(row.get("damaged")),
        not row["deployable"],
        not row["on_frontier"],
        row.get("file_bytes") or float("inf"),
        row["subject"],
    )


def _size(node: Node) -> float:
    return -float((json_of(node, "variant.json") or {}).get("file_bytes") or 0)
