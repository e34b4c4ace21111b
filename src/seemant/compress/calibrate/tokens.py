"""Calibration text as sequences of token ids, by language.

What a method is calibrated on decides what it keeps: one language alone leaves the others worse
than no calibration at all. So a target language without text is an error unless it is allowed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_records
from seemant.core.records import LANGUAGES, Lang, Pair, Paragraph
from seemant.core.seeds import rng
from seemant.core.sources import BOM, Source, numbered_lines, open_source
from seemant.corpus.scripts import SCRIPT_NAMES, detect_lang
from seemant.models.tokenizer import Tokenizer

PART, PAIRS = "calibration.jsonl", "pairs.jsonl"
LENGTH = 512
MEASURED = 4  # of a search's text, every fourth paragraph measures
_LONGEST_LINE_BYTES = 1 << 28
LEAST = 512  # tokens a language: fewer say nothing of a matrix's thousand directions

Sequences = dict[Lang, list[list[int]]]


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs by language; `languages` lists those that have some.

    measuring: how many more paragraphs of a language were kept to measure on, for error texts.
    """

    paragraphs: Mapping[Lang, Sequence[str]]
    measuring: Mapping[Lang, int] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[Lang, ...]:
        """The languages that have text, in the house order."""
        return tuple(lang for lang in LANGUAGES if self.paragraphs.get(lang))


def read_text(path: Path, *, rejected: Path | None = None) -> Text:
    """Return the calibration part of a corpus artefact, the pairs of a distill artefact, a file
    of paragraphs, or the lines of a text file, each in the language that its script tells.

    rejected: where bad lines of a file of paragraphs go; None: they are errors.

    Raises:
        BadFile: missing, not text, or no line in a known script.
        BadRecord: no valid line, or a bad one and no `rejected`.
    """
    if path.is_dir() and (path / PAIRS).is_file() and not (path / PART).is_file():
        pairs = read_records(path / PAIRS, Pair, rejected=rejected)
        return _by_language(
            (each.lang, f"{each.instruction}\n{each.input}\n{each.output}") for each in pairs
        )
    place = path / PART if path.is_dir() else path
    if not place.is_file():
        raise BadFile("no such calibration text", where=str(place), fix="check the path")
    source = open_source(place)
    if source.json:
        records = read_records(place, Paragraph, rejected=rejected)
        return _by_language((each.lang, each.text) for each in records)
    text = _by_language((detect_lang(line), line) for line in _lines(source))
    if not text.languages:
        raise BadFile(
            "no line of calibration text is in a known script",
            where=str(place),
            fix=f"known are {', '.join(SCRIPT_NAMES.values())}",
        )
    return text


def sequences_of(
    text: Text,
    tokenizer: Tokenizer,
    languages: Sequence[Lang],
    *,
    tokens: int = 8192,
    length: int = LENGTH,
    seed: int = 0,
    allow_gap: bool = False,
) -> Sequences:
    """Return up to `tokens` ids a language, in sequences of up to `length`.

    Paragraphs come in an order drawn from `seed`, one after another, and are cut; every sequence
    begins with BOS where the model asks for one. The last one may be shorter.

    allow_gap: go on without a language that has no text.

    Raises:
        BadFile: a language has no text, or fewer than 512 tokens (or `tokens`, if that is less).
    """
    found: Sequences = {}
    for lang in languages:
        paragraphs = text.paragraphs.get(lang, ())
        if not paragraphs:
            if allow_gap and any(text.paragraphs.get(other) for other in languages):
                continue
            raise _lacks(lang, text)
        ids = _stream(paragraphs, tokenizer, seed, lang)
        found[lang] = list(_cut(ids, tokenizer, tokens, length))
        n = sum(map(len, found[lang]))
        if n < min(LEAST, tokens):
            raise BadFile(
                f"{n} tokens of {lang} are too few to calibrate on{_kept_back(lang, text)}",
                fix=f"give at least {LEAST}, better {tokens}, a language",
            )
    return found


def measuring_part(text: Text) -> Text:
    """Return the paragraphs that a search measures on."""
    return Text({lang: each[::MEASURED] for lang, each in text.paragraphs.items()})


def calibrating_part(text: Text) -> Text:
    """Return the paragraphs that a search leaves to calibrate on."""
    return Text(
        {
            lang: [p for number, p in enumerate(each) if number % MEASURED]
            for lang, each in text.paragraphs.items()
        },
        {lang: len(each[::MEASURED]) for lang, each in text.paragraphs.items()},
    )


def random_sequences(
    n_vocab: int, *, tokens: int, length: int = LENGTH, seed: int
) -> list[list[int]]:
    """Return sequences of ids drawn uniformly: the calibration that knows no language."""
    ids = rng(seed, "random ids").integers(0, n_vocab, tokens).tolist()
    return [ids[start : start + length] for start in range(0, tokens, length)]


def counts(sequences: Sequences) -> dict[Lang, int]:
    """Return how many tokens each language has, for manifests."""
    return {lang: sum(map(len, each)) for lang, each in sequences.items()}


def _stream(
    paragraphs: Sequence[str], tokenizer: Tokenizer, seed: int, lang: Lang
) -> Iterator[int]:
    for at in rng(seed, "calibration", lang).permutation(len(paragraphs)):
        yield from tokenizer.encode(f"{paragraphs[int(at)].strip()}\n\n", add_bos=False)


def _cut(ids: Iterator[int], tokenizer: Tokenizer, tokens: int, length: int) -> Iterator[list[int]]:
    first = [tokenizer.bos_id] if tokenizer.add_bos and tokenizer.bos_id is not None else []
    left = tokens
    while left > 0:
        sequence = list(first)
        for token in ids:
            sequence.append(token)
            if len(sequence) >= min(length, left):
                break
        if len(sequence) == len(first):
            return
        yield sequence
        left -= len(sequence)


def _by_language(pairs: Iterable[tuple[Lang | None, str]]) -> Text:
    found: dict[Lang, list[str]] = {}
    for lang, each in pairs:
        if lang is not None and each.strip():
            found.setdefault(lang, []).append(each)
    return Text(found)


def _lines(source: Source) -> Iterator[str]:
    for number, _, raw in numbered_lines(source, _LONGEST_LINE_BYTES):
        try:
            yield raw.decode("utf-8").lstrip(BOM)
        except UnicodeDecodeError as error:
            where = f"{source.path}:{number}"
            raise BadFile("calibration text that is not UTF-8", where=where) from error


def _kept_back(lang: Lang, text: Text) -> str:
    n = text.measuring.get(lang)
    if not n:
        return ""
    whole = n + len(text.paragraphs.get(lang, ()))
    return f": every fourth of its {whole} paragraphs, the first among them, is kept to measure on"


def _lacks(lang: Lang, text: Text) -> BadFile:
    if n := text.measuring.get(lang):
        return BadFile(
            f"too few paragraphs of {lang} ({SCRIPT_NAMES[lang]}): {n}, and a search keeps every "
            "fourth, the first among them, to measure on",
            where=f"language {lang}",
            fix=f"give more {lang} text in several paragraphs (lines of a text file)",
        )
    there = ", ".join(text.languages) or "none"
    return BadFile(
        f"the calibration text has no {lang} ({SCRIPT_NAMES[lang]}); languages there: {there}",
        where=f"language {lang}",
        fix=f"add {lang} text: without it {lang} loses several times as much; or leave it "
        "out of the languages, or allow the gap",
    )
