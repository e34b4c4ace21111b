"""The text as documents: read, told apart by language, and split into training and held-out."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seemant.core.errors import BadRecord
from seemant.core.hashing import text_sha256
from seemant.core.jsonl import read_records
from seemant.core.records import LANGUAGES, Lang, Paragraph
from seemant.core.sources import BOM, Source, is_json_object, open_source, stream_lines
from seemant.corpus.scripts import detect_lang

_BLANK = "without a visible character"
_OWN_PARTS = (("distil.jsonl", "calibration.jsonl"), ("heldout.jsonl",))


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents to train on and documents to measure on; `aside` counts the others by reason."""

    train: list[Paragraph]
    heldout: list[Paragraph]
    aside: Counter[str] = field(default_factory=Counter)

    @property
    def languages(self) -> tuple[Lang, ...]:
        """The languages of the training documents, in the project's order."""
        found = {document.lang for document in self.train}
        return tuple(lang for lang in LANGUAGES if lang in found)


def read_documents(
    path: Path,
    *,
    languages: Sequence[Lang] | None,
    heldout_share: float,
    seed: int,
    rejected: Path | None = None,
) -> Documents:
    """Return the documents of a corpus artefact, a file of paragraphs, or a file of text.

    Files are told by their content, plain or packed. A corpus artefact brings its own held-out
    part. In a text file every line is a document; its language is the only one asked for, else
    that of its script.

    Raises:
        BadFile, BadRecord: unreadable, or nothing left to train on.
    """
    aside: Counter[str] = Counter()
    if path.is_dir():
        train, heldout = (
            _wanted(_records(path, names, rejected), languages, aside) for names in _OWN_PARTS
        )
    else:
        source = open_source(path)
        every: Iterable[Paragraph]
        if source.json:
            every = _records(path.parent, [path.name], rejected)
        else:
            every = _lines(source, languages, aside)
        train, heldout = hold_out(_wanted(every, languages, aside), heldout_share, seed)
    if not train:
        raise BadRecord(
            "no document is left to train on"
            + "".join(f"; {n} {reason}" for reason, n in aside.items()),
            where=str(path),
            fix="give more text, or other --languages",
        )
    return Documents(train, heldout, aside)


def hold_out(
    documents: Sequence[Paragraph], share: float, seed: int
) -> tuple[list[Paragraph], list[Paragraph]]:
    """Return (training, held-out) documents, each in their order.

    Within each language the texts with the smallest hash are held out: equal texts are never on
    both sides. At least one is held out where `share` > 0 and a language has two.
    """
    held: set[str] = set()
    for lang in LANGUAGES:
        hashes = sorted({_hash(each, seed) for each in documents if each.lang == lang})
        n = min(max(round(share * len(hashes)), 1), len(hashes) - 1) if share and hashes else 0
        held |= set(hashes[:n])
    inside = [_hash(each, seed) in held for each in documents]
    train = [each for each, out in zip(documents, inside, strict=True) if not out]
    return train, [each for each, out in zip(documents, inside, strict=True) if out]


def _hash(document: Paragraph, seed: int) -> str:
    return text_sha256(f"{seed}\0heldout\0{document.lang}\0{document.text}")


def _records(folder: Path, names: Iterable[str], rejected: Path | None) -> list[Paragraph]:
    # An empty part of a small corpus is no mistake; a missing one is.
    found: list[Paragraph] = []
    for name in names:
        place = folder / name
        if not place.is_file() or place.stat().st_size:
            found += read_records(place, Paragraph, rejected=rejected)
    return found


def _wanted(
    documents: Iterable[Paragraph], languages: Sequence[Lang] | None, aside: Counter[str]
) -> list[Paragraph]:
    kept = []
    for document in documents:
        if not _visible(document.text):
            aside[_BLANK] += 1
        elif languages is None or document.lang in languages:
            kept.append(document)
        else:
            aside["in another language"] += 1
    return kept


def _visible(text: str) -> bool:
    """Whether anything would be seen: U+200B, U+FEFF and their like alone are no document."""
    return any(unicodedata.category(letter)[0] not in "CZ" for letter in text)


def _lines(
    source: Source, languages: Sequence[Lang] | None, aside: Counter[str]
) -> Iterable[Paragraph]:
    only = languages[0] if languages is not None and len(languages) == 1 else None
    for offset, raw in stream_lines(source):
        try:
            text = raw.decode("utf-8").lstrip(BOM).strip()
        except UnicodeDecodeError:
            aside["not UTF-8"] += 1
            continue
        if is_json_object(text):
            aside["JSON in a text file"] += 1
            continue
        if len(raw) >= source.limit_bytes:
            aside["longer than 64 kB"] += 1
        elif not _visible(text):
            aside[_BLANK] += 1
        elif (lang := only or detect_lang(text)) is None:
            aside["in no known script (name its language with --languages)"] += 1
        else:
            yield Paragraph(id=f"{source.path.name}:{offset}", lang=lang, text=text, offset=offset)
