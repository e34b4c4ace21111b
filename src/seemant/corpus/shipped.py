"""The small corpus that ships with the project: written for it, invented places and people."""

from functools import cache
from pathlib import Path

from seemant.core.jsonl import read_records
from seemant.core.records import Lang, Paragraph

SHIPPED_SOURCE = "seemant:corpus/"


def shipped(lang: Lang) -> list[Paragraph]:
    """Return the shipped paragraphs of a language, in file order; `source` names the file."""
    return list(_read(lang))


def shipped_path(lang: Lang) -> Path:
    """Return the file that holds the shipped paragraphs of a language."""
    return Path(__file__).parent / "data" / f"{lang}.jsonl"


@cache
def _read(lang: Lang) -> tuple[Paragraph, ...]:
    source = f"{SHIPPED_SOURCE}{lang}.jsonl"
    records = read_records(shipped_path(lang), Paragraph)
    return tuple(paragraph.model_copy(update={"source": source}) for paragraph in records)
