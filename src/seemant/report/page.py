"""The page: one HTML file with everything in it, section after section."""

from collections.abc import Sequence
from importlib.resources import files

from seemant.report.config import ReportConfig
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node
from seemant.report.sections.alarm import alarm
from seemant.report.sections.attribution import attribution
from seemant.report.sections.behaviour import behaviour
from seemant.report.sections.compression import compression
from seemant.report.sections.distillation import distillation
from seemant.report.sections.experiment import experiment
from seemant.report.sections.frontier import frontier
from seemant.report.sections.glossary import glossary
from seemant.report.sections.losses import losses
from seemant.report.sections.lost_first import lost_first
from seemant.report.sections.measurements import all_measurements
from seemant.report.sections.recommendations import recommendations
from seemant.report.sections.repeat import repeat
from seemant.report.sections.summary import summary
from seemant.report.sections.take_away import take_away
from seemant.report.sections.transcripts import study_queries, transcripts
from seemant.report.sections.verdict import verdict

# Nothing may be fetched: no address in the page is ever asked by the browser itself.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(nodes: Sequence[Node], config: ReportConfig) -> str:
    """Return the whole file; sections without data are left out."""
    parts: list[tuple[str, str, Html | None]] = [
        ("verdict", "In short", verdict(nodes)),
        ("recommendations", "Recommendations", recommendations(nodes)),
        ("frontier", "The frontier", frontier(nodes)),
        ("behaviour", "Before and after tuning", behaviour(nodes)),
        ("transcripts", "What they said", transcripts(nodes)),
        ("study-queries", "The study's dozen queries", study_queries(nodes)),
        ("compression", "Compression, by language", compression(nodes)),
        ("attribution", "Where it was lost", attribution(nodes)),
        ("lost-first", "What is lost first", lost_first(nodes)),
        ("losses", "Training", losses(nodes)),
        ("alarm", "Behaviour while training", alarm(nodes)),
        ("distillation", "Distillation", distillation(nodes)),
        ("experiment", "The experiment", experiment(nodes, config)),
        ("measurements", "All measurements", all_measurements(nodes)),
        ("take-away", "Files to take away", take_away(nodes, config)),
        ("repeat", "How to repeat it", repeat(nodes, config)),
        ("glossary", "Words", glossary()),
    ]
    there = [(key, title, content) for key, title, content in parts if content is not None]
    body = el(
        "body",
        el(
            "header",
            el("p", "seemant ", el("span", "सीमांत", lang="hi"), class_="brand"),
            el("h1", config.title),
            summary(nodes, config),
            class_="top",
        ),
        el("nav", *(el("a", title, href=f"#{key}") for key, title, _ in there), aria_label="parts"),
        el("main", *(_section(key, title, content) for key, title, content in there)),
        el("footer", el("p", _colophon(nodes))),
        el("script", _own("script.js")),
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{config.title} · seemant"),
        el("style", _own("style.css")),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _section(key: str, title: str, content: Html) -> Html:
    return el("section", el("h2", title), content, id=key)


def _own(name: str) -> Html:
    """Return a file of this package as it is: our own, never a user's text."""
    return Html(files("seemant.report").joinpath(name).read_text(encoding="utf-8"))


def _colophon(nodes: Sequence[Node]) -> Html:
    versions = sorted({n.manifest.packages.get("seemant", "") for n in nodes} - {""})
    last = max((node.manifest.created for node in nodes), default="")
    made = f" Last figure: {last.replace('T', ' ').removesuffix('+00:00')} UTC." if last else ""
    return join(
        [
            f"Made by seemant {', '.join(versions)} from the manifests of {len(nodes)} artefacts; "
            f"this page computes no figure.{made}"
        ]
    )
