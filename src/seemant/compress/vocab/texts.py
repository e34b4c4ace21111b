"""The two parts of a text: one chooses the rows, the other tells what the choice costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seemant.compress.calibrate.tokens import Text, calibrating_part, measuring_part, read_text
from seemant.core.errors import BadFile
from seemant.core.records import LANGUAGES, Lang
from seemant.corpus.scripts import SCRIPT_NAMES
from seemant.models.tokenizer import Tokenizer

CHOOSING, HELD_OUT = ("distil.jsonl", "calibration.jsonl"), "heldout.jsonl"
LEAST = 512  # tokens of a language that choose: fewer are a sample of nothing


@dataclass(frozen=True, slots=True)
class Parts:
    """choosing: the text whose tokens stay. held_out: text that chose nothing."""

    choosing: Text
    held_out: Text


def parts_of(path: Path, *, rejected: Path | None = None) -> Parts:
    """Return the parts: a corpus artefact's own split; of anything else every fourth paragraph
    (line of a text file) of a language is held out.

    Raises:
        BadFile: missing, not text, or nothing in a known script.
        BadRecord: no valid line, or a bad one and no `rejected`.
    """
    if path.is_dir() and (path / HELD_OUT).is_file() and (path / HELD_OUT).stat().st_size:
        places = [path / name for name in CHOOSING if (path / name).is_file()]
        texts = [read_text(place) for place in places if place.stat().st_size]
        return Parts(_together(texts), read_text(path / HELD_OUT))
    text = read_text(path, rejected=rejected)
    return Parts(calibrating_part(text), measuring_part(text))


def measurable(
    parts: Parts, tokenizer: Tokenizer, wanted: Sequence[Lang], where: str
) -> tuple[Lang, ...]:
    """Return the languages with 512 tokens that choose rows and some text held out.

    wanted: languages that must be among them; none: at least one must be.

    Raises:
        BadFile: too little text; says how many tokens of which language there are.
    """
    counts = {lang: _n_tokens(parts.choosing, lang, tokenizer) for lang in LANGUAGES}
    enough = tuple(
        lang for lang in LANGUAGES if counts[lang] >= LEAST and parts.held_out.paragraphs.get(lang)
    )
    if enough and set(wanted) <= set(enough):
        return enough
    short = [lang for lang in LANGUAGES if lang not in enough and (lang in wanted or not wanted)]
    told = ", ".join(
        f"{lang} ({SCRIPT_NAMES[lang]}): {counts[lang]} tokens{_of(parts.choosing, lang)}"
        for lang in short
    )
    if parts.choosing.measuring:
        told += "; every fourth paragraph of a language, the first among them, is held out"
    raise BadFile(
        f"too little text to choose a vocabulary by: {told}",
        where=where,
        fix=f"give at least {LEAST} tokens a language in several paragraphs; thousands of "
        "paragraphs are better: every word that the text lacks comes out in pieces",
    )


def _of(text: Text, lang: Lang) -> str:
    """Return how much there is of a language of which some is held out."""
    held_out, left = text.measuring.get(lang), len(text.paragraphs.get(lang, ()))
    return f" in {left} of {left + held_out} paragraphs" if held_out else ""


def _n_tokens(text: Text, lang: Lang, tokenizer: Tokenizer) -> int:
    """Return how many tokens a language has, counted no further than they matter."""
    n = 0
    for paragraph in text.paragraphs.get(lang, ()):
        n += len(tokenizer.encode(paragraph, False))
        if n >= LEAST:
            break
    return n


def _together(texts: Sequence[Text]) -> Text:
    found: dict[Lang, list[str]] = {}
    for text in texts:
        for lang, paragraphs in text.paragraphs.items():
            found.setdefault(lang, []).extend(paragraphs)
    return Text(found)
