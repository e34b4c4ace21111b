"""Where variants lost it: heat maps of layers and languages, and what may be said of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.compress.attribution.cells import ALPHA, Damage
from seemant.report.figures import measurements
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, lines_of, of_stage
from seemant.report.svg_heat import Heat, heat_map, scale_words
from seemant.report.tables import Cell, Row, details, table
from seemant.report.words import languages_in, number, significant, spread

_LAYER = "layer"
_PANELS = {
    "insert": "each layer compressed alone",
    "remove": "each layer restored alone",
    "noise": "noise of the same size in its place",
    "permuted": "its errors with columns permuted",
}


def attribution(nodes: Sequence[Node]) -> Html | None:
    """Return the maps and readings of every variant that was attributed, None of none."""
    found = [
        join([el("h3", _subject(node)), *_one(node, rows)])
        for node in of_stage(nodes, "attribution")
        if (rows := lines_of(node, "damage.jsonl", Damage))
    ]
    if not found:
        return None
    note = el(
        "p",
        "Damage is the KLD against the reference, in nats a byte of text, so that languages can be "
        "compared. ",
        el("i", "Compressed alone"),
        ": all else as in the reference. ",
        el("i", "Restored alone"),
        ": what it gives back while all else stays compressed. A ring: differs from the median "
        f"layer, false discovery rate {ALPHA:g} over all layers and languages.",
        class_="note",
    )
    return join([note, *found])


def _one(node: Node, rows: Sequence[Damage]) -> list[Html | None]:
    return [_reading(node), _maps(rows), details("Parts outside single layers", _parts(rows))]


def _subject(node: Node) -> str:
    return next((m.subject for m in measurements([node])), node.name)


def _reading(node: Node) -> Html | None:
    told: Mapping[str, Any] = json_of(node, "reading.json") or {}
    sentences = told.get("sentences") or []
    if not sentences:
        return None
    return el("ul", *(el("li", str(s.get("text", ""))) for s in sentences), class_="reading")


def _maps(rows: Sequence[Damage]) -> Html | None:
    """Return a panel a kind of intervention, then one a kind of matrix; one scale for all."""
    single = [row for row in rows if row.layer is not None]
    if not single:
        return None
    top = max(row.per_byte for row in single)
    n_layers = 1 + max(row.layer or 0 for row in single)
    languages = languages_in({row.lang for row in single})
    panels = dict.fromkeys((row.site, row.how) for row in single)
    order = sorted(panels, key=lambda p: (p[0] != _LAYER, list(_PANELS).index(p[1]), p[0]))
    figures = [
        el(
            "figure",
            heat_map(
                _PANELS[how] if site == _LAYER else f"{site} of each layer, alone",
                {
                    (row.lang, row.layer): _heat(row)
                    for row in single
                    if (row.site, row.how) == (site, how) and row.layer is not None
                },
                languages,
                n_layers,
                top,
            ),
        )
        for site, how in order
    ]
    scale = el("p", f"Colours: {scale_words(top)}.", class_="note")
    return join([el("div", *figures, class_="charts two"), scale])


def _heat(row: Damage) -> Heat:
    ends = ""
    if row.per_byte_low is not None and row.per_byte_high is not None:
        ends = f" [{significant(row.per_byte_low, 2)}, {significant(row.per_byte_high, 2)}]"
    q = "" if row.q is None else f"; q = {significant(row.q, 2)}"
    told = f"layer {row.layer}: {significant(row.per_byte, 2)}{ends} nats/byte{q}"
    return Heat(row.per_byte, told, row.q is not None and row.q <= ALPHA)


def _parts(rows: Sequence[Damage]) -> Html:
    outside = [row for row in rows if row.layer is None]
    languages = languages_in({row.lang for row in outside})
    names = list(dict.fromkeys((row.site, row.how) for row in outside))
    by_key = {(row.site, str(row.how), str(row.lang)): row for row in outside}
    body: list[Row] = [
        [
            f"{site}, {_HOW_WORDS.get(how, how)}" if site != "all" else "everything compressed",
            *(_figure(by_key.get((site, how, lang))) for lang in languages),
        ]
        for site, how in names
    ]
    heads: list[Row] = [["part", *(Cell(lang, "num", lang=lang) for lang in languages)]]
    return table(heads, body, caption="nats a token, 95 % intervals over paragraphs")


_HOW_WORDS = {"insert": "compressed alone", "remove": "restored alone"}


def _figure(row: Damage | None) -> Cell:
    if row is None:
        return Cell("–", "num none")
    ends = spread(row.low, row.high, row.method, row.n_chunks)
    return Cell(join([number(row.kld), ends]), "num")
