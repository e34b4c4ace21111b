"""First on the page: how many answers of each model were right, and what that means in a word."""

from collections.abc import Mapping, Sequence
from typing import Any

from seemant.frontier.languages import language
from seemant.frontier.verdict import (
    MEANINGS,
    MIN_RIGHT,
    WORDS,
    Tally,
    Word,
    tallies,
    words_of,
    worst,
)
from seemant.report.html import Html, el, join
from seemant.report.nodes import Node, json_of, of_stage
from seemant.report.numbering import candidates, numbered, numbers
from seemant.report.tables import Cell, Row, details, table
from seemant.report.words import languages_in, size

_LOOKS: Mapping[str, str] = {
    "good": "ok",
    "weak": "so",
    "not enough evidence": "none",
    "no better than guessing": "bad",
    "damaged by compression": "grey",
    "too big": "grey",
}


def verdict(nodes: Sequence[Node]) -> Html | None:
    """Return the table of all candidates with the meaning of the words; None without a frontier."""
    rows = candidates(nodes)
    if not rows:
        return None
    floor = _floor(nodes)
    known = numbers(nodes)
    languages = languages_in({g for row in rows for g in row.get("answers", row["quality"])})
    head: Row = ["model", *(Cell(language(g), lang=g) for g in languages), "file", "in a word"]
    body = [_row(row, languages, floor, known) for row in rows]
    note = (
        "Each model was asked short questions with known answers. A row says how many of its "
        "answers were right. The numbers before the names are the same everywhere on this page."
    )
    return join(
        [
            el("p", note),
            table([head], body, caption="right answers, measured here", look="verdicts"),
            meanings(floor),
        ]
    )


def badge(word: str) -> Html:
    """Return a verdict as a coloured label."""
    return el("span", word, class_=f"word {_LOOKS.get(word, 'none')}")


def count(tally: Tally | None) -> Html:
    """Return "2 of 43" with the range in which the true share likely lies."""
    if tally is None:
        return el("span", "not asked", class_="dim")
    ends = None
    if tally.low is not None and tally.high is not None:
        ends = el("span", f"likely {tally.low:.0%} to {tally.high:.0%}", class_="ci")
    whose = el("span", f"as {tally.whose}", class_="ci whose") if tally.whose else None
    shown = el("span", el("b", f"{tally.right} of {tally.asked}"), " right")
    return join([shown, " ", ends, whose])


def meanings(floor: float) -> Html:
    """Return the fold that says what each word means, by the rule that gave it."""
    parts = []
    for word in WORDS:
        meaning = MEANINGS[word].replace("the floor asks for", f"{floor:.0%}")
        parts += [el("dt", badge(word)), el("dd", f"{meaning}.")]
    rule = (
        "A model is as good as its worst language. “Likely” is the 95 % range: with other "
        "questions of the same kind the share would lie there. A compressed model that was not "
        "asked again stands by the answers of the model that it was made from; it says whose."
    )
    return details("What the words mean", el("dl", *parts, class_="facts words"), el("p", rule))


def _row(
    row: Mapping[str, Any], languages: Sequence[str], floor: float, known: Mapping[str, int]
) -> list[Cell | Html | str]:
    found = tallies(row)
    asked = [g for g in languages if g in row["quality"] or g in found or g in row["damaged"]]
    words = words_of(row, asked, min_right=floor)
    hurt = row["damaged"]
    cells: list[Cell | Html | str] = [numbered(row["subject"], known)]
    for lang in languages:
        word: Word | None = words.get(lang)
        shown = join([count(found.get(lang)), badge(word) if word else None])
        cells.append(Cell(shown, "dim" if lang in hurt else "", lang=lang))
    cells.append(size(row.get("file_bytes")))
    cells.append(badge(worst(list(words.values()))))
    return cells


def _floor(nodes: Sequence[Node]) -> float:
    """Return the floor of the study's recommendations; the default where there is none."""
    for node in of_stage(nodes, "recommend"):
        for request in (json_of(node, "recommendation.json") or {}).get("requests", []):
            floor = request.get("floors", {}).get("min_right")
            if floor is not None:
                return float(floor)
    return MIN_RIGHT
