"""A card for each request: the pick with its evidence, or why nothing fits."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.languages import language
from seemant.frontier.verdict import tallies
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage
from seemant.report.numbering import numbered, numbers
from seemant.report.sections.summary import by_languages
from seemant.report.sections.verdict import badge, count
from seemant.report.tables import details
from seemant.report.words import (
    SHARPNESS,
    chip,
    number,
    origin_badge,
    sentence,
    size,
    spoken,
    spread,
)

_NAMES = {
    "file_bytes": "File",
    "peak_rss": "Peak memory",
    "decode": "Decoding",
    "ttft": "First token after",
    "pmi_margin": "Quality",
    "choice_accuracy": "Right choice",
    "kld": "Divergence",
}


def recommendations(nodes: Sequence[Node]) -> Html | None:
    """Return the cards, None where nothing was recommended or refused."""
    requests = [
        request
        for node in of_stage(nodes, "recommend")
        for request in (json_of(node, "recommendation.json") or {}).get("requests", [])
    ]
    if not requests:
        return None
    known = numbers(nodes)
    groups = by_languages(requests)
    parts: list[Html] = []
    for codes, group in groups.items():
        if len(groups) > 1:
            parts.append(el("h3", f"For {spoken(list(map(language, codes)))}"))
        parts.append(el("div", *(card(request, known) for request in group), class_="cards"))
    note = el(
        "p",
        "Quality is the PMI margin: by how many nats a byte the model prefers the right answer to "
        "wrong ones, the answers' own likelihood taken out; 0 is chance. Of the candidates that "
        "fit, the pick is the smallest file whose quality in its worst language is not surely "
        "below the best.",
        class_="note",
    )
    folded = details("How the choice was made", note, el("p", SHARPNESS, class_="note"))
    return join([*parts, folded])


def card(request: Mapping[str, Any], known: Mapping[str, int]) -> Html:
    """Return one request's card: the counts and the word first, nats in a fold. known: numbers."""
    fits = request["verdict"] == "fit"
    least = request.get("least_bad")
    subject = request["pick"] if fits else (least["subject"] if least else None)
    runner = request.get("runner_up")
    return el(
        "article",
        el(
            "header",
            el("h3", sentence(request.get("device_title") or request["device"])),
            el("span", request["verdict"], class_=f"verdict {'ok' if fits else 'bad'}"),
            class_="asked",
        ),
        el("p", *(chip(code) for code in request["languages"]), class_="chips"),
        _floors(request),
        el("p", None if fits else "Least bad: ", numbered(subject, known), class_="pick")
        if subject
        else None,
        _answers(request),
        el("p", f"{sentence(request['why'])}."),
        _misses(request, in_nats=False),
        _next(request),
        _evidence(request["evidence"], _misses(request, in_nats=True)),
        el(
            "p",
            "Runner-up: ",
            numbered(runner["subject"], known),
            f". It lost: {runner['lost_because']}.",
        )
        if runner
        else None,
        *(el("p", f"{sentence(note)}.", class_="warn") for note in request.get("notes", [])),
        el("pre", el("code", shlex.join(request["serve_command"])))
        if request.get("serve_command") and fits
        else None,
        class_=f"card {'ok' if fits else 'bad'}",
    )


def _answers(request: Mapping[str, Any]) -> Html | None:
    """Return the verdict's word and the right answers in each language."""
    if not request.get("word"):
        return None
    found = tallies(request)
    words = request.get("words", {})
    lines = [
        el(
            "li",
            chip(lang),
            " ",
            count(found.get(lang)),
            " ",
            badge(words[lang]) if lang in words else None,
        )
        for lang in request["languages"]
    ]
    return join([el("p", badge(request["word"]), class_="in-a-word"), el("ul", *lines)])


def _misses(request: Mapping[str, Any], *, in_nats: bool) -> Html | None:
    """Return what the least bad misses; margins in nats belong in the fold."""
    given = (request.get("least_bad") or {}).get("misses", [])
    told = [el("li", m["why"]) for m in given if (m["floor"] == "min_quality") == in_nats]
    return el("ul", *told, class_="misses") if told else None


def _next(request: Mapping[str, Any]) -> Html | None:
    """Return what to do next, with commands to paste; the command that serves a pick is below."""
    steps = [] if request["verdict"] == "fit" else request.get("next", [])
    if not steps:
        return None
    parts: list[Html] = [el("h4", "What to do next")]
    for step in steps:
        parts.append(el("p", f"{step['what']}:"))
        commands = "\n".join(shlex.join(command) for command in step["commands"])
        parts.append(el("pre", el("code", commands)))
    return join(parts)


def _floors(request: Mapping[str, Any]) -> Html | None:
    floors = request.get("floors", {})
    told = []
    if floors.get("min_right"):
        told.append(f"surely more than {floors['min_right']:.0%} of the answers right")
    if floors.get("min_quality") is not None:
        floor = floors["min_quality"]
        told.append("quality surely above " + ("chance" if floor == 0 else f"{number(floor)}"))
    if floors.get("max_memory_bytes"):
        told.append(f"memory ≤\u00a0{size(floors['max_memory_bytes'])}")
    if floors.get("max_file_bytes"):
        told.append(f"file ≤\u00a0{size(floors['max_file_bytes'])}")
    if floors.get("max_latency_ms"):
        told.append(f"≤ {number(floors['max_latency_ms'], 0)} ms a token")
    return el("p", "Floors: ", "; ".join(told), class_="floors") if told else None


def _evidence(given: Sequence[Mapping[str, Any]], missed: Html | None) -> Html | None:
    if not given:
        return missed
    rows = []
    for m in given:
        name = _NAMES.get(m["metric"], m["metric"])
        told = f"{name}, {language(m['lang'])}" if m.get("lang") else name
        rows.append(el("dt", told))
        rows.append(el("dd", _value(m), " ", _spread(m), title=m["ci_method"]))
    origins = sorted({str(m.get("origin", "measured")) for m in given})
    origin = el("p", *(origin_badge(each) for each in origins), class_="origins")
    return details("The figures behind it", origin, el("dl", *rows, class_="evidence"), missed)


def _spread(m: Mapping[str, Any]) -> Html | None:
    """Return the interval in the value's own words; of repeated runs it is their range."""
    low, high, n = m.get("ci_low"), m.get("ci_high"), m.get("n_clusters") or m["n"]
    if m["unit"] == "bytes" and low is not None and high is not None:
        ends = f"{size(low)} to {size(high)}"
        return el("span", ends, class_="ci") if size(low) != size(high) else None
    return spread(low, high, m["ci_method"], n, _digits(m))


def _digits(m: Mapping[str, Any]) -> int:
    return {"share": 2}.get(m["unit"], 3 if m["unit"].startswith("nats") else 1)


def _value(m: Mapping[str, Any]) -> str:
    if m["unit"] == "bytes":
        return size(m["value"])
    return f"{number(m['value'], _digits(m), signed=m['metric'] == 'pmi_margin')} {m['unit']}"
