"""Divergence over the size of the file: a chart a reference model and language."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.core.measurement import Measurement
from seemant.frontier.readings import KLD, WEIGHTS
from seemant.report.figures import find, subject_of
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of
from seemant.report.svg_damage import Damaged, damage_chart
from seemant.report.words import chip


def damage_charts(
    ordered: Sequence[Node],
    about: Mapping[str, Sequence[Measurement]],
    languages: Sequence[str],
    known: Mapping[str, int],
    hurt: Mapping[str, Sequence[str]],
) -> Html | None:
    """Return the charts; None where nothing was measured.

    ordered: the variants; known: their numbers, by subject; about: their divergences; hurt: the
    languages in which the frontier calls them damaged, by subject.
    """
    bases = dict.fromkeys(base_name(facts_of(node)) for node in ordered)
    drawn = []
    for base in bases:
        for lang in languages:
            points = [
                Damaged(
                    known[subject_of(node)],
                    subject_of(node),
                    float(facts["file_bytes"]),
                    kld,
                    _no_file(facts),
                    lang in hurt.get(subject_of(node), ()),
                )
                for node in ordered
                for facts in [facts_of(node)]
                if base_name(facts) == base and facts.get("file_bytes")
                for kld in [find(about[node.name], KLD, lang, route=WEIGHTS)]
                if kld is not None
            ]
            if (made := damage_chart(points, lang)) is not None:
                drawn.append(el("figure", el("figcaption", chip(lang), f" {base}"), made))
    if not drawn:
        return None
    note = (
        "Down is better, left is smaller; numbers are those of the table. Of the weights alone. "
        "Filled: no file as small loses less. Hollow: one does. Dashed: simulated. "
        "Grey: damaged by compression."
    )
    return join([el("p", note, class_="note"), el("div", *drawn, class_="charts")])


def facts_of(node: Node) -> Mapping[str, Any]:
    """Return what a variant says of itself; nothing where it is no variant."""
    found: Mapping[str, Any] = json_of(node, "variant.json") or {}
    return found


def base_name(facts: Mapping[str, Any]) -> str:
    """Return what the model is called that a variant was made from."""
    label = str((facts.get("base") or {}).get("label") or "")
    return label.rpartition(":")[2] or str(facts.get("subject", "?")).partition("/")[0]


def _no_file(facts: Mapping[str, Any]) -> bool:
    """Return whether the file is larger than the bits that it shows, or there is none."""
    return bool(facts.get("simulated") or facts.get("torch_only"))
