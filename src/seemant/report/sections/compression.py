"""Compression by language: the divergence that a variant costs, by weights and by runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.compress.adapter_gain import in_words
from seemant.compress.describe import MIXED
from seemant.compress.reference.which import DITHERED
from seemant.core.measurement import Measurement
from seemant.frontier.languages import language
from seemant.frontier.readings import (
    DECODE,
    DEPLOYED,
    FILE_BYTES,
    KLD,
    RUNTIME,
    WEIGHTS,
    route_of,
)
from seemant.report.figures import find, measurements, subject_of
from seemant.report.html import Child, Html, el, join
from seemant.report.nodes import Node, of_stage
from seemant.report.numbering import candidates, numbered, numbers
from seemant.report.sections.damage_charts import base_name, damage_charts, facts_of
from seemant.report.tables import Cell, Row, details, figure_cell, table
from seemant.report.words import languages_in, number, size, spoken

_ROUTES = ((WEIGHTS, "weights"), (DEPLOYED, "deployed"), (RUNTIME, "runtime price"))
_NOTABLE, _BAD = 0.1, 0.5  # nats/token, shades of the cells only; the guard has its own limit

_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


def compression(nodes: Sequence[Node]) -> Html | None:
    """Return the table; None where nothing was compressed."""
    variants = of_stage(nodes, "compress", "qat")
    if not variants:
        return None
    about = {node.name: _divergences(nodes, node) for node in variants}
    every = [m for found in about.values() for m in found]
    languages = languages_in({m.lang for m in every if m.metric == KLD and m.lang})
    routes = [r for r in _ROUTES if any(route_of(m) == r[0] for m in every if m.metric == KLD)]
    speeds = list(measurements(of_stage(nodes, "bench")))
    base = _common([subject_of(node) for node in variants])
    known = numbers(nodes)
    ordered = sorted(variants, key=_order)
    rows = [
        _row(
            known[subject_of(node)],
            node,
            base,
            about[node.name],
            languages,
            routes,
            _speed(node, speeds, nodes),
        )
        for node in ordered
    ]
    caption = f"variants{f' of {base}' if base else ''}, measured; bits a weight of the whole file"
    rows += [_as_it_is(node, languages, routes, speeds, known) for node in _unchanged(nodes)]
    hurt = {str(row["subject"]): row.get("damaged", ()) for row in candidates(nodes)}
    figures = [
        el("p", *_ABOUT, class_="note"),
        damage_charts(ordered, about, languages, known, hurt),
        table(_heads(languages, routes), rows, caption=caption, look="variants"),
        _marks_legend(),
    ]
    plainly = _kept(ordered, about, languages, known)
    return join(
        [
            _reference(variants),
            plainly,
            adapters_kept(ordered, known),
            details("The figures, in nats a token", *figures, open_=plainly is None),
        ]
    )


_ABOUT = (
    "Divergence (KLD) is in nats a token on held-out text, with 95 % intervals over paragraphs. ",
    el("i", "Weights"),
    ": the rounded weights alone. ",
    el("i", "Deployed"),
    ": the file through llama.cpp, which also rounds activations to 8 bits. ",
    el("i", "Runtime price"),
    ": what that rounding adds. Shaded from ",
    el("span", f"{_NOTABLE:g}", class_="shade some"),
    " and from ",
    el("span", f"{_BAD:g}", class_="shade much"),
    ". KLD compares a variant with the model it was made from, never two models.",
)


def _kept(
    ordered: Sequence[Node],
    about: Mapping[str, Sequence[Measurement]],
    languages: Sequence[str],
    known: Mapping[str, int],
) -> Html | None:
    """Return in words what compression changed, a row a variant; None where nothing was measured.

    As deployed, and of the weights alone where only they were measured.
    """
    if not languages:
        return None
    body: list[Row] = []
    for node in ordered:
        cells: list[Cell | Child] = [numbered(subject_of(node), known)]
        for lang in languages:
            given = about[node.name]
            m = find(given, KLD, lang, route=DEPLOYED) or find(given, KLD, lang, route=WEIGHTS)
            told = {"": "hardly", "some": "some", "much": "much"}[_shade(m)]
            cells.append(Cell(told if m else "–", _shade(m), lang=lang))
        body.append(cells)
    head: Row = ["variant", *(Cell(language(lang), lang=lang) for lang in languages)]
    caption = "how much compression changed what the model says, measured"
    return table([head], body, caption=caption, look="key")


def adapters_kept(variants: Sequence[Node], known: Mapping[str, int]) -> Html | None:
    """Return how much of its adapter each variant's file applies, a sentence each; None of none.

    Merged onto a base that was quantised before, an adapter can be rounded away or multiplied.
    """
    told = [
        el("li", numbered(subject_of(node), known), f": {words}.")
        for node in variants
        if (words := in_words(facts_of(node))) is not None
    ]
    return el("ul", *told, class_="warnings") if told else None


def _order(node: Node) -> tuple[bool, float]:
    """Largest file first; what stands against a dithered reference comes behind all others."""
    facts = facts_of(node)
    return _is_dithered(facts), -float(facts.get("file_bytes") or 0)


def _is_dithered(facts: Mapping[str, Any]) -> bool:
    return str(facts.get("reference", "")).startswith(DITHERED)


def _reference(variants: Sequence[Node]) -> Html | None:
    """Return what the figures refer to, where a base's own weights are rounded ones."""
    names = [base_name(facts_of(node)) for node in variants if _is_quantised(facts_of(node))]
    rounded = sorted(set(names))
    if not rounded:
        return None
    many = len(rounded) > 1
    words = (
        f"{spoken(rounded)} {'are' if many else 'is'} stored quantised, so no original weights "
        f"exist here: {'their' if many else 'its'} dequantised weights (with the adapter merged in "
        "fp32, where there is one) are the reference of every divergence of "
        f"{'their' if many else 'its'} variants."
    )
    return el("p", el("strong", words), class_="note reference")


def _is_quantised(facts: Mapping[str, Any]) -> bool:
    """Return whether a matrix of the base is stored in a rounded layout."""
    stored = {str(t.get("stored", "F32")).upper() for t in (facts.get("tensors") or {}).values()}
    return bool(stored - _FLOATS)


def _heads(languages: Sequence[str], routes: Sequence[tuple[str, str]]) -> list[Row]:
    width = len(routes)
    first: Row = [
        "",
        Cell("", span=2),
        *(Cell(f"KLD, {language(code)}", "group", width, code) for code in languages),
        "",
    ]
    second: Row = [
        "variant",
        Cell("file", "num"),
        Cell("bits/w.", "num"),
        *(Cell(name, "num", lang=code) for code in languages for _, name in routes),
        Cell("tokens/s", "num"),
    ]
    return [first, second]


def _common(subjects: Sequence[str]) -> str:
    """Return what all subjects begin with, up to the last "/": the model they were made from."""
    bases = {subject.rpartition("/")[0] for subject in subjects}
    return bases.pop() if len(bases) == 1 else ""


def _row(
    key: int,
    node: Node,
    base: str,
    divergences: Sequence[Measurement],
    languages: Sequence[str],
    routes: Sequence[tuple[str, str]],
    speed: Measurement | None,
) -> list[Cell | Child]:
    facts = facts_of(node)
    name = subject_of(node).removeprefix(f"{base}/")
    cells: list[Cell | Child] = [
        join(
            [
                el("b", key, class_="no"),
                " ",
                el("b", name),
                el("span", _how(facts), class_="how"),
                _marks(facts),
            ]
        ),
        Cell(size(facts.get("file_bytes")), "num"),
        Cell(number(facts.get("bits_per_weight_file"), 2), "num"),
    ]
    cells += _divergence_cells(divergences, languages, routes)
    return [*cells, figure_cell(speed, 1)]


def _unchanged(nodes: Sequence[Node]) -> list[Node]:
    """Return the divergences of model files that were not compressed: the runtime's price alone."""
    return [n for n in of_stage(nodes, "divergence") if n.label("variant") is None]


def _as_it_is(
    node: Node,
    languages: Sequence[str],
    routes: Sequence[tuple[str, str]],
    speeds: Sequence[Measurement],
    known: Mapping[str, int],
) -> list[Cell | Child]:
    subject, given = subject_of(node), node.manifest.measurements
    own = [m for m in speeds if m.subject == subject and m.origin == "measured"]
    weight = find(own, FILE_BYTES)
    return [
        join(
            [
                numbered(subject, known),
                el("span", "the file as it is, not compressed", class_="how"),
            ]
        ),
        Cell(size(weight.value if weight else None), "num"),
        Cell("–", "num none"),
        *_divergence_cells(given, languages, routes),
        figure_cell(find(own, DECODE), 1),
    ]


def _divergence_cells(
    given: Sequence[Measurement], languages: Sequence[str], routes: Sequence[tuple[str, str]]
) -> list[Cell]:
    cells = []
    for lang in languages:
        for route, _ in routes:
            m = find(given, KLD, lang, route=route)
            digits = 2 if m is not None and m.value >= 1 else 3
            cells.append(figure_cell(m, digits, look=_shade(m)))
    return cells


def _divergences(nodes: Sequence[Node], variant: Node) -> list[Measurement]:
    """Return what was measured of a variant by the nodes that took it as their variant."""
    about = [n for n in of_stage(nodes, "divergence") if n.source("variant") == variant.name]
    return list(measurements(about))


def _speed(
    variant: Node, speeds: Sequence[Measurement], nodes: Sequence[Node]
) -> Measurement | None:
    """Return a variant's decoding speed, found by what the bench calls it."""
    names = {variant.name, subject_of(variant), str(facts_of(variant).get("subject"))}
    for bench in of_stage(nodes, "bench"):
        names |= {role.partition("/")[2] for role, name in bench.needs if name == variant.name}
    own = [m for m in speeds if m.metric == DECODE and m.subject in names]
    return next((m for m in own if m.origin == "measured"), next(iter(own), None))


def _how(facts: Mapping[str, Any]) -> str:
    group = facts.get("group")
    share = "per channel" if group == "channel" else f"groups of {group}"
    kind = "symmetric" if facts.get("symmetric") else "asymmetric"
    grid = f"{facts.get('bits', '?')} bits, {share}, {kind}"
    named = str(facts.get("format", ""))
    if named.endswith("_k") or named == "f16":
        grid = named.upper()
    if named == MIXED:
        grid = f"formats chosen matrix by matrix, codes of {facts.get('bits')} bits in the mean"
    elif facts.get("formats"):
        grid += f", {len(facts['formats'])} formats of single tensors"
    if facts.get("sparsity"):
        grid += f", {facts['sparsity']} of weights removed"
    return (
        f"{str(facts.get('method', '?')).upper()}, {grid}; embedding {facts.get('embedding', '?')}"
    )


def _shade(m: Measurement | None) -> str:
    if m is None or m.value < _NOTABLE:
        return ""
    return "some" if m.value < _BAD else "much"


def _marks(facts: Mapping[str, Any]) -> Html:
    marks = []
    if _is_dithered(facts):
        marks.append(el("span", "dithered", class_="mark"))
    if facts.get("torch_only"):
        marks.append(el("span", "torch only", class_="mark"))
    if facts.get("simulated"):
        marks.append(el("span", "simulated", class_="mark"))
    if facts.get("on_reference_grid") or facts.get("embedding_on_reference_grid"):
        part = "" if facts.get("on_reference_grid") else " (embedding)"
        marks.append(el("span", f"artefact{part}", class_="mark"))
    if facts.get("nested_in_reference_grid"):
        marks.append(el("span", "nested", class_="mark"))
    return join(marks, " ")


def _marks_legend() -> Html:
    return el(
        "p",
        el("span", "dithered", class_="mark"),
        " measured against a dithered reference, to rank methods: never shipped, and not to be "
        "compared with rows that lack this mark. ",
        el("span", "simulated", class_="mark"),
        " no layout of that width exists: packed larger, not deployable. ",
        el("span", "torch only", class_="mark"),
        " no runtime's file holds it, so it has no latency. ",
        el("span", "artefact", class_="mark"),
        " the base file's own grid is met again, so its small error says nothing of the method. ",
        el("span", "nested", class_="mark"),
        " half of the base file's own grid points fall midway between two of this one's: the error "
        "is larger than on a model that was never quantised.",
        class_="note",
    )
