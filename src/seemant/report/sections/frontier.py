"""The frontier: quality over file size in each language, and what stands behind each point."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.languages import language
from seemant.frontier.verdict import tallies
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage
from seemant.report.numbering import candidates, numbered, numbers
from seemant.report.svg_frontier import frontier_chart
from seemant.report.tables import Cell, Row, details, table
from seemant.report.words import chip, languages_in, number, size, spread


def frontier(nodes: Sequence[Node]) -> Html | None:
    """Return the charts and their key; None without a frontier."""
    for node in of_stage(nodes, "frontier"):
        if found := json_of(node, "frontier.json"):
            return _frontier(found, candidates(nodes), numbers(nodes))
    return None


def _frontier(
    found: Mapping[str, Any], ordered: Sequence[Mapping[str, Any]], known: Mapping[str, int]
) -> Html:
    languages = languages_in(found["languages"])
    rows = [(known[row["subject"]], row) for row in ordered]
    unit = str(found.get("quality_unit", "nats/byte"))
    axes = ", ".join(_axis(axis) for axis in found["axes"])
    answered = [(key, {**row, "quality": _shares(row)}) for key, row in rows]
    plainly = _charts(answered, languages, "right answers, %", "0")
    in_nats = _charts(rows, languages, f"quality, {unit}", "chance")
    note = (
        "Up is better, left is smaller. Bars are 95 % intervals over probe families. A "
        "filled point is beaten by nothing deployable on all axes at once, a hollow one is "
        "beaten, a dashed one is shown only and cannot be deployed; a grey one that is struck "
        "through was damaged by compression in that language, and stands off the frontier. A thin "
        "line joins the points that nothing beats; where points would cover each other they are "
        "moved aside. A language that compression damaged, or that was not measured, counts as "
        f"the worst possible. Axes: {axes}. P(beaten): in which share of "
        f"{found['resamples']:,} resamples of the families some other candidate beats it."
    )
    return join(
        [
            el("p", note, class_="note"),
            el("div", *plainly, class_="charts") if plainly else None,
            _key(rows, languages),
            details(
                "By how sure it is of the right answer, in nats",
                el("div", *in_nats, class_="charts"),
                _nats(rows, languages, unit),
                open_=not plainly,
            )
            if in_nats
            else None,
            _places(rows),
            _warnings(rows),
        ]
    )


def _shares(row: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the share of right answers by language in per cent, as a quality is written."""
    return {
        lang: {
            "value": 100 * tally.right / tally.asked,
            "ci_low": None if tally.low is None else 100 * tally.low,
            "ci_high": None if tally.high is None else 100 * tally.high,
        }
        for lang, tally in tallies(row).items()
        if tally.asked
    }


def _charts(
    rows: Sequence[tuple[int, Mapping[str, Any]]], languages: Sequence[str], title: str, zero: str
) -> list[Html]:
    """Return a chart a kind of reference and language."""
    kinds = list(dict.fromkeys(str(row.get("ranking", "")) for _, row in rows))
    charts = []
    for kind in kinds:
        drawable = [(key, row) for key, row in rows if str(row.get("ranking", "")) == kind]
        head = f" against a {_REFERENCES.get(kind, kind)}" if len(kinds) > 1 else ""
        for lang in languages:
            drawn = frontier_chart(drawable, lang, title, zero)
            if drawn is not None:
                charts.append(el("figure", el("figcaption", chip(lang), head), drawn))
    return charts


_REFERENCES = {"fp": "model never rounded", "dithered": "dithered reference, to rank methods"}


def _places(rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Html | None:
    """Return the place of each method with its reason, a sentence each."""
    told = [
        el("li", numbered(row["subject"], {row["subject"]: key}), f": {row['place']}")
        for key, row in rows
        if row.get("place") and row.get("variant")
    ]
    return (
        el("details", el("summary", "why each method stands where it does"), el("ul", *told))
        if told
        else None
    )


def _axis(axis: str) -> str:
    kind, _, lang = axis.partition(":")
    names = {
        "latency_ms": "time a token",
        "peak_rss_bytes": "peak memory",
        "file_bytes": "file size",
    }
    return f"quality in {language(lang)}" if lang else names.get(kind, kind)


def _key(rows: Sequence[tuple[int, Mapping[str, Any]]], languages: Sequence[str]) -> Html:
    head: Row = [
        "candidate",
        *(Cell(language(lang), "num", lang=lang) for lang in languages),
        Cell("file", "num"),
        Cell("tokens/s", "num"),
        Cell("first token", "num"),
        Cell("peak memory", "num"),
        Cell("P(beaten)", "num"),
        "standing",
    ]
    body = []
    for key, row in rows:
        cells: list[Cell | str] = [_name(key, row)]
        found = tallies(row)
        cells += [Cell(found[g].words if g in found else "–", "num") for g in languages]
        cells += [
            Cell(size(row.get("file_bytes")), "num"),
            Cell(number(row.get("decode_tokens_per_s"), 1), "num"),
            Cell(f"{number(row.get('ttft_ms'), 0)} ms" if row.get("ttft_ms") else "–", "num"),
            Cell(size(row.get("peak_rss_bytes")), "num"),
            Cell(number(row.get("p_dominated"), 2), "num"),
            _standing(row),
        ]
        body.append(cells)
    return table([head], body, caption="all candidates, measured on this machine", look="key")


def _nats(
    rows: Sequence[tuple[int, Mapping[str, Any]]], languages: Sequence[str], unit: str
) -> Html:
    """Return the table of the margins, for those who want them."""
    head: Row = ["candidate", *(Cell(language(g), "num", lang=g) for g in languages)]
    body: list[Row] = []
    for key, row in rows:
        cells: list[Cell | Html | str] = [_name(key, row)]
        for lang in languages:
            q = row["quality"].get(lang)
            shown = join([number(q["value"], signed=True), _spread(q)]) if q else "–"
            cells.append(Cell(shown, "num"))
        body.append(cells)
    return table([head], body, caption=f"quality, {unit}", look="key")


def _name(key: int, row: Mapping[str, Any]) -> Cell:
    return Cell(numbered(row["subject"], {row["subject"]: key}))


def _spread(q: Mapping[str, Any]) -> Html | None:
    n = q.get("n_clusters") or q.get("n") or 0
    return spread(q["ci_low"], q["ci_high"], str(q.get("ci_method", "")), n)


def _standing(row: Mapping[str, Any]) -> Cell:
    cell = _place(row)
    if not row.get("damaged"):
        return cell
    tongues = ", ".join(language(code) for code in languages_in(row["damaged"]))
    hurt = el("span", f"damaged: {tongues}", class_="bad small-line")
    return Cell(join([cell.content, hurt]), cell.look.replace("nowrap", ""))


def _place(row: Mapping[str, Any]) -> Cell:
    if row.get("damaged"):
        return Cell("off the frontier", "dim nowrap")
    if row["on_frontier"]:
        return Cell("not beaten", "good nowrap")
    if by := row["dominated_by"]:
        more = f" and {len(by) - 1} more" if len(by) > 1 else ""
        return Cell(f"beaten by {by[0]}{more}")
    return Cell("shown only", "dim nowrap")


def _warnings(rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Html | None:
    told = [
        el("li", numbered(row["subject"], {row["subject"]: key}), f": {'; '.join(row['warnings'])}")
        for key, row in rows
        if row["warnings"]
    ]
    return el("ul", *told, class_="warnings") if told else None
