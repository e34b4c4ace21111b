"""Which text is compared: paragraphs or their beginnings, in a fixed order, up to a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seemant.core.errors import BadRecord
from seemant.core.jsonl import read_records
from seemant.core.records import Lang, Paragraph
from seemant.models.tokenizer import Tokenizer

HELD_OUT = "heldout.jsonl"
FIRST = 1  # the first scored token: nothing predicts the one before it


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph's tokens; all from tokens[1] on are scored, `n_bytes` of text."""

    lang: Lang
    paragraph_id: str
    tokens: tuple[int, ...]
    n_bytes: int

    @property
    def targets(self) -> tuple[int, ...]:
        """The scored tokens."""
        return self.tokens[FIRST:]


def load_paragraphs(path: Path, rejected: Path) -> list[Paragraph]:
    """Return the held-out paragraphs of a corpus artefact, or all of a .jsonl file.

    Raises:
        BadFile, BadRecord: missing, binary, or without a valid line.
    """
    place = path / HELD_OUT if path.is_dir() else path
    return read_records(place, Paragraph, rejected=rejected)


def choose_passages(
    paragraphs: Sequence[Paragraph],
    tokenizer: Tokenizer,
    languages: Sequence[Lang],
    *,
    per_language: int,
    per_paragraph: int,
) -> list[Passage]:
    """Return passages, a language after another, until `per_language` scored tokens are reached.

    A paragraph gives at most its first `per_paragraph` scored tokens.

    Raises:
        BadRecord: a language has no paragraph.
    """
    chosen: list[Passage] = []
    for lang in languages:
        left = per_language
        for paragraph in paragraphs:
            if paragraph.lang != lang or left <= 0:
                continue
            tokens = tuple(tokenizer.encode(paragraph.text)[: per_paragraph + FIRST])
            if len(tokens) <= FIRST:
                continue
            n_bytes = len(tokenizer.decode(tokens[FIRST:]).encode())
            chosen.append(Passage(lang, paragraph.id, tokens, n_bytes))
            left -= len(tokens) - FIRST
        if left == per_language:
            raise BadRecord(
                f"no paragraph in {lang!r} to compare on",
                fix=f"give a corpus with {lang} text, or leave it out of languages",
            )
    return chosen
