"""What was asked and what came out: one paragraph, or one line a question."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.languages import language
from seemant.frontier.verdict import tallies
from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage
from seemant.report.words import (
    duration,
    languages_in,
    sentence,
    size,
    spoken,
    within,
)

_FEW = 3  # devices that are named one by one though all have one outcome


def summary(nodes: Sequence[Node], config: ReportConfig) -> Html:
    """Return the paragraph; without a recommendation it says only what there is.

    Several sets of languages, or several bit-widths, have a line each.
    """
    asked = el("p", el("strong", "Asked. "), config.question) if config.question else None
    requests = [
        request
        for node in of_stage(nodes, "recommend")
        for request in (json_of(node, "recommendation.json") or {}).get("requests", [])
    ]
    came_out = el("strong", "Came out. ")
    groups = {
        question: group
        for tongues, asked_for in by_languages(requests).items()
        for question, group in _by_bits(tongues, asked_for).items()
    }
    if len(groups) > 1:
        lines = [
            el("li", el("strong", f"{question}. "), _told(group))
            for question, group in groups.items()
        ]
        told = _led(came_out, lines, nodes)
    else:
        none = "No recommendation was made: this study has no such node."
        outcomes = [
            outcome(group, tongues=True, n=len(requests)) for group in same_outcome(requests)
        ]
        if len(outcomes) > 1:
            lines = [el("li", each) for each in outcomes]
            told = _led(came_out, lines, nodes)
        else:
            told = [el("p", came_out, *outcomes, None if outcomes else none, " ", _work(nodes))]
    return el("div", asked, *told, class_="lead")


def _led(came_out: Html, lines: Sequence[Html], nodes: Sequence[Node]) -> list[Html]:
    """Return several outcomes, and behind them what they rest on."""
    return [el("p", came_out), el("ul", *lines, class_="outcomes"), el("p", _work(nodes))]


def by_languages(
    requests: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """Return requests by the set of languages asked for, the largest set first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for request in requests:
        groups.setdefault(tuple(languages_in(request["languages"])), []).append(request)
    return dict(sorted(groups.items(), key=lambda item: -len(item[0])))


def _by_bits(
    tongues: Sequence[str], requests: Sequence[Mapping[str, Any]]
) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for request in requests:
        bits = request.get("bits")
        width = f", {bits} bits" if bits is not None else ""
        title = str(request.get("device_title") or request["device"]).removesuffix(width)
        question = f"{spoken(list(map(language, tongues)))}{width}"
        groups.setdefault(question, []).append({**request, "device_title": title})
    return groups


def _told(requests: Sequence[Mapping[str, Any]]) -> Html:
    groups = same_outcome(requests)
    return join([outcome(group, tongues=False, n=len(requests)) for group in groups], " ")


def same_outcome(requests: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return requests grouped by what came out, in the order in which they were asked."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for request in requests:
        keys = ("languages", "verdict", "pick", "missed_floor", "least_bad", "why")
        told = repr([request.get(key) for key in keys])
        groups.setdefault(told, []).append(request)
    return list(groups.values())


def outcome(group: Sequence[Mapping[str, Any]], *, tongues: bool = True, n: int = 0) -> Html:
    """Return one sentence on requests with one outcome, with its figures.

    tongues: say the languages asked for, too. n: of how many requests in all.
    """
    first = group[0]
    names = [within(request.get("device_title") or request["device"]) for request in group]
    every = len(group) == n > _FEW
    begin = f"All {n} devices" if every else sentence(spoken(names))
    if tongues:
        begin += f", in {spoken([language(code) for code in first['languages']])}"
    begin += ": "
    if first["verdict"] == "fit":
        return join([begin, el("b", first["pick"]), f"{_figures(first)}."])
    least = first.get("least_bad")
    tail: list[Html | str] = []
    if least:  # what it misses stands on its card
        tail = ["; the least bad is ", el("b", least["subject"]), _figures(first)]
    return join([begin, el("b", "unfit", class_="bad"), f": {first['why']}", *tail, "."])


def _figures(request: Mapping[str, Any]) -> str:
    """Return the size, the right answers in each language and the word, in brackets."""
    parts = [size(m["value"]) for m in request["evidence"] if m["metric"] == "file_bytes"]
    found = tallies(request)
    parts += [f"{found[g].words} in {language(g)}" for g in request["languages"] if g in found]
    if request.get("word"):
        parts.append(f"in a word: {request['word']}")
    return f" ({', '.join(parts)})" if parts else ""


def _work(nodes: Sequence[Node]) -> str:
    seconds = sum(node.manifest.wall_s for node in nodes)
    n = sum(len(node.manifest.measurements) for node in nodes)
    return (
        f"Behind it stand {len(nodes)} nodes, {duration(seconds)} of work "
        f"and {n:,} measurements, all of them below."
    )
