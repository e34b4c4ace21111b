"""Which files to take away: where they lie, how large they are, what may be done with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seemant.compress.reference.which import DITHERED
from seemant.core.manifest import FileEntry
from seemant.frontier.languages import language
from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, named, of_stage
from seemant.report.tables import Cell, Row, table
from seemant.report.words import size, spoken

# Stage -> the files of its artefact that are worth taking; adapters travel in two formats.
_WORTH: Mapping[str, tuple[str, ...]] = {
    "export": ("",),
    "compress": ("model.gguf",),
    "qat": ("model.gguf",),
    "train": ("adapter.gguf", "adapter/"),
    "distill": ("pairs.jsonl",),
}
_NOT_SHIPPED = frozenset({"config.json", "events.jsonl"})
_ORDER = {"good": 0, "bad": 1, "": 2}
_SHORT = 12  # hexadecimal digits shown of a hash

GEMMA = (
    "Files made from Gemma are Model Derivatives under the Gemma Terms of Use "
    "(https://ai.google.dev/gemma/terms): they may be used and passed on under these terms, with "
    "the terms' use restrictions, a copy of the terms, and a notice that the files were modified. "
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms."
)


def take_away(nodes: Sequence[Node], config: ReportConfig) -> Html | None:
    """Return the list, the recommended file first; None where there is nothing to take."""
    picks = _picks(nodes)
    rows: list[tuple[int, Row]] = []
    gemma = False
    for stage in _WORTH:
        for node in of_stage(nodes, stage):
            if _made_to_rank(node):
                continue
            licence = _licence(node, nodes)
            standing = _standing(node, nodes, picks)
            look = standing.look if isinstance(standing, Cell) else ""
            for file in node.manifest.files:
                if _worth(stage, file):
                    gemma = gemma or "gemma" in licence.lower()
                    rows.append((_ORDER[look], _row(node, file, licence, standing)))
    if not rows:
        return None
    rows.sort(key=lambda row: row[0])
    heads: list[Row] = [["file", Cell("size", "num"), "sha256", "licence", "standing"]]
    return join(
        [
            el("p", f"Paths are relative to runs/{config.study}/.", class_="note"),
            table(heads, [row for _, row in rows], caption="files to take away", look="files"),
            el("p", GEMMA, class_="note terms") if gemma else None,
        ]
    )


def _made_to_rank(node: Node) -> bool:
    """Return whether a variant was made from a dithered reference, which is never shipped."""
    facts: Mapping[str, Any] = json_of(node, "variant.json") or {}
    return str(facts.get("reference", "")).startswith(DITHERED)


def _worth(stage: str, file: FileEntry) -> bool:
    return file.path not in _NOT_SHIPPED and file.path.startswith(_WORTH[stage])


def _standing(node: Node, nodes: Sequence[Node], picks: Mapping[str, str]) -> Cell | str:
    """Return what a recommendation says of an artefact; of a bundle, the one it was made by.

    A bundle of a given variant stands as that variant does.
    """
    source = named(nodes, node.source("recommendation"))
    if node.stage == "export" and source is not None:
        for request in (json_of(source, "recommendation.json") or {}).get("requests", []):
            if request["device"] == node.manifest.config.get("device"):
                asked = f"{request['device']} ({spoken(_tongues(request))})"
                if request["verdict"] == "fit":
                    return Cell(f"recommended for {asked}", "good")
                return Cell(f"least bad, unfit for {asked}", "bad")
        return ""
    about = named(nodes, node.source("variant")) if node.stage == "export" else node
    place = f"{about.stage}/{about.manifest.id}" if about is not None else ""
    return Cell(f"recommended for {picks[place]}", "good") if place in picks else ""


def _tongues(request: Mapping[str, Any]) -> list[str]:
    return [language(code) for code in request["languages"]]


def _row(node: Node, file: FileEntry, licence: str, standing: Cell | str) -> Row:
    return [
        Cell(el("code", f"nodes/{node.name}/{file.path}"), "path"),
        Cell(size(file.bytes), "num"),
        el("code", file.sha256[:_SHORT], title=file.sha256),
        licence or "–",
        standing,
    ]


def _picks(nodes: Sequence[Node]) -> dict[str, str]:
    """Return STAGE/ID of each picked artefact -> the devices and languages it was picked for."""
    places = {}
    for node in of_stage(nodes, "frontier"):
        for row in (json_of(node, "frontier.json") or {}).get("candidates", []):
            places[row["subject"]] = row.get("artefact")
    found: dict[str, dict[str, list[str]]] = {}
    for node in of_stage(nodes, "recommend"):
        for request in (json_of(node, "recommendation.json") or {}).get("requests", []):
            if request["verdict"] == "fit" and places.get(request["pick"]):
                by_tongues = found.setdefault(places[request["pick"]], {})
                by_tongues.setdefault(spoken(_tongues(request)), []).append(request["device"])
    return {
        place: "; ".join(f"{', '.join(devices)} ({tongues})" for tongues, devices in of.items())
        for place, of in found.items()
    }


def _licence(node: Node, nodes: Sequence[Node]) -> str:
    """Return the licence that a variant names, or that of the base that its label names."""
    facts = json_of(node, "variant.json")
    if facts and facts.get("licence"):
        return str(facts["licence"])
    names = {Path(file.path).name for file in node.manifest.files}
    if "GEMMA_TERMS.html" in names:
        return "gemma"
    if "LICENSE" in names:
        return "see LICENSE"
    source = node.source("variant")
    for other in nodes:
        if other.name == source:
            return _licence(other, nodes)
    label = (node.label("model") or node.label("teacher") or "").rpartition(":")[2]
    from seemant.models.catalogue import entries

    entry = entries().get(label)
    return entry.licence if entry else ""
