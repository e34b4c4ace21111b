"""From files, or from the shipped corpus, to the paragraphs of one run."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from seemant.core.errors import BadRecord
from seemant.core.hashing import text_sha256
from seemant.core.measurement import Measurement
from seemant.core.records import Lang, Paragraph
from seemant.core.seeds import derive_seed
from seemant.corpus.config import CorpusConfig
from seemant.corpus.rules import TOO_SHORT, Line, Rules, SetAside, cut_at, others_in
from seemant.corpus.sampling import Sample, sample_lines
from seemant.corpus.shipped import SHIPPED_SOURCE, shipped

DEFAULT_N = 6000  # the original study's sample


@dataclass(slots=True)
class Gathered:
    """Paragraphs in their final order, and how they came together."""

    origin: str
    paragraphs: list[Paragraph] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    n_duplicates: int = 0
    n_cut: int = 0
    notes: list[str] = field(default_factory=list)
    sampling: dict[str, Any] = field(default_factory=dict)
    estimates: list[Measurement] = field(default_factory=list)

    @property
    def counts_aside(self) -> dict[str, int]:
        """How many lines were set aside, by reason."""
        return dict(sorted(Counter(line.reason for line in self.aside).items()))


def from_files(config: CorpusConfig, files: Sequence[tuple[Path, str]]) -> Gathered:
    """Return a uniform sample of the (path, label) files' lines, taken as one population.

    With `per_language` each language is a population of its own and is drawn by itself. A text
    that was drawn before is dropped and counted.

    Raises:
        BadFile, BadRecord: a file is unreadable, or no line qualifies.
    """
    gathered = Gathered(origin=", ".join(label for _, label in files))
    labels = {path: label for path, label in files}
    seen: set[str] = set()
    draws = _draws(config)
    for name, languages, n in draws:
        others = tuple(lang for lang in config.languages if lang not in languages)
        rules = Rules(
            languages=languages,
            others=others,
            min_characters=config.min_characters,
            max_characters=config.max_characters,
            text_field=config.text_field,
            keep_others=config.keep_others,
        )
        seed = derive_seed(config.seed, "corpus", name)
        try:
            sample = sample_lines([path for path, _ in files], n, seed=seed, rules=rules)
        except BadRecord:
            if len(draws) == 1:
                raise
            gathered.notes.append(f"No line of the files is in {name!r}.")
            continue
        _add(gathered, sample, labels, seen)
        gathered.sampling[name] = _facts(sample, n)
        gathered.notes.extend(sample.notes)
        if sample.estimate:
            gathered.estimates.append(_estimate(config.subject, languages, sample))
    gathered.notes.extend(shares(gathered))
    return gathered


def shares(gathered: Gathered) -> list[str]:
    """Return a sentence on what was set aside as text of languages that were not asked for."""
    told = others_in(gathered.aside)
    if not told:
        return []
    n = len(gathered.paragraphs) + len(gathered.aside)
    counted = ", ".join(f"{name} {count}" for name, count in told.most_common())
    return [f"Of {n} lines that were met these are in other languages, set aside: {counted}."]


def from_shipped(config: CorpusConfig) -> Gathered:
    """Return the shipped corpus, or a uniform sample of it, in file order."""
    gathered = Gathered(origin=SHIPPED_SOURCE.rstrip("/"))
    generator = Random(derive_seed(config.seed, "corpus", "shipped"))
    pool: list[Paragraph] = []
    for lang in config.languages:
        group = [p for p in (_cut(p, config, gathered) for p in shipped(lang)) if p]
        if config.per_language and config.per_language < len(group):
            group = _some(group, config.per_language, generator)
        pool.extend(group)
    if config.n and not config.per_language and config.n < len(pool):
        pool = _some(pool, config.n, generator)
    asked = (config.per_language or 0) * len(config.languages) or config.n or 0
    if asked > len(pool):
        gathered.notes.append(
            f"{asked} paragraphs were asked for; the shipped corpus holds {len(pool)} that "
            "qualify: all are taken."
        )
    gathered.paragraphs = pool
    return gathered


def _draws(config: CorpusConfig) -> list[tuple[str, tuple[Lang, ...], int]]:
    if config.per_language is None:
        return [("all", config.languages, config.n or DEFAULT_N)]
    return [(lang, (lang,), config.per_language) for lang in config.languages]


def _add(gathered: Gathered, sample: Sample, labels: dict[Path, str], seen: set[str]) -> None:
    for line in sample.lines:
        paragraph = _paragraph(line, labels)
        if paragraph.id in seen:
            gathered.n_duplicates += 1
            continue
        seen.add(paragraph.id)
        gathered.paragraphs.append(paragraph)
        gathered.n_cut += line.cut
    known = {(line.file, line.offset) for line in gathered.aside}
    for aside in sample.aside:
        if (aside.file, aside.offset) not in known:
            gathered.aside.append(aside)


def _paragraph(line: Line, labels: dict[Path, str]) -> Paragraph:
    path = line.source.path
    name = f"{line.lang}-{text_sha256(line.text)[:12]}"
    return Paragraph.model_construct(  # the line was judged: checking it again costs as much
        id=name, lang=line.lang, text=line.text, source=labels[path], offset=line.offset
    )


def _facts(sample: Sample, n: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"method": sample.method, "asked": n, "drawn": len(sample.lines)}
    if sample.method == "blocks":
        facts |= {"tries": sample.n_tries, "restarts": sample.n_restarts, "bounds": sample.bounds}
    if sample.estimate:
        facts["population"] = sample.estimate[0]
    return facts


def _estimate(subject: str, languages: tuple[Lang, ...], sample: Sample) -> Measurement:
    assert sample.estimate is not None
    value, low, high = sample.estimate
    return Measurement(
        subject=subject,
        metric="lines_in_files",
        lang=languages[0] if len(languages) == 1 else None,
        value=value,
        unit="lines",
        ci_low=low,
        ci_high=high,
        ci_method="normal approximation to the share of tries that hit a line",
        n=sample.n_tries,
    )


def _cut(paragraph: Paragraph, config: CorpusConfig, gathered: Gathered) -> Paragraph | None:
    if len(paragraph.text) < config.min_characters:
        gathered.aside.append(
            SetAside(file=paragraph.source, offset=0, reason=TOO_SHORT, detail=paragraph.id)
        )
        return None
    text = cut_at(unicodedata.normalize("NFC", paragraph.text), config.max_characters)
    if text == paragraph.text:
        return paragraph
    gathered.n_cut += 1
    return paragraph.model_copy(update={"text": text})


def _some(group: list[Paragraph], n: int, generator: Random) -> list[Paragraph]:
    return [group[i] for i in sorted(generator.sample(range(len(group)), n))]
