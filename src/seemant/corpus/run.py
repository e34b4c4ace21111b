"""The stage "corpus": files, or the shipped corpus, to a uniform sample in three fixed parts."""

from pathlib import Path
from typing import Any

from seemant.core.atomic import write_atomic
from seemant.core.errors import BadRecord
from seemant.core.jsonl import write_json, write_records
from seemant.core.measurement import Measurement, exact
from seemant.core.records import Lang
from seemant.core.runlog import log_event
from seemant.core.stage import Inputs, Stage
from seemant.corpus.config import CorpusConfig
from seemant.corpus.gather import Gathered, from_files, from_shipped
from seemant.corpus.shipped import SHIPPED_SOURCE
from seemant.corpus.splits import SPLITS, split_of

Statistics = dict[Lang, dict[str, Any]]
MAX_LISTED = 1000  # lines in rejected.jsonl; all of them are counted in stats.json


def run(config: CorpusConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with paragraphs.jsonl, the three parts, rejected.jsonl and stats.json.

    Without inputs "files/*" the shipped corpus is taken.

    Raises:
        BadFile, BadRecord: a file is unreadable, or nothing in the files qualifies.
    """
    files = {role: given for role, given in inputs.items() if role.startswith("files/")}
    if all(given.label.startswith(SHIPPED_SOURCE) for given in files.values()):
        gathered = from_shipped(config)
    else:
        gathered = from_files(config, [(given.path, given.label) for given in files.values()])
    if not gathered.paragraphs:
        raise BadRecord(
            "no paragraph is left",
            where=gathered.origin,
            fix="lower min_characters or ask for another language",
        )
    _write(gathered, out)
    for note in gathered.notes:
        log_event(out, "note", text=note)
    languages = _languages(config, gathered, inputs)
    stats = {
        "origin": gathered.origin,
        "sampling": gathered.sampling,
        "notes": gathered.notes,
        "duplicates": gathered.n_duplicates,
        "cut": gathered.n_cut,
        "set_aside": gathered.counts_aside,
        "languages": languages,
    }
    write_json(out / "stats.json", stats)
    return _measurements(config.subject, gathered, languages)


def _write(gathered: Gathered, out: Path) -> None:
    lines = [(split_of(each.id), each.model_dump_json() + "\n") for each in gathered.paragraphs]
    write_atomic(out / "paragraphs.jsonl", "".join(line for _, line in lines))
    for split in SPLITS:
        part = "".join(line for own, line in lines if own == split)
        write_atomic(out / f"{split}.jsonl", part)
    write_records(out / "rejected.jsonl", gathered.aside[:MAX_LISTED])


def _languages(config: CorpusConfig, gathered: Gathered, inputs: Inputs) -> Statistics:
    from seemant.corpus.stats import describe, encoder  # the register model is not always needed

    tokenizers = {
        given.label: encoder(given.path)
        for role, given in inputs.items()
        if role.startswith("tokenizers/")
    }
    full = config.statistics == "full"
    return describe(gathered.paragraphs, full=full, tokenizers=tokenizers)


def _measurements(subject: str, gathered: Gathered, languages: Statistics) -> list[Measurement]:
    found = []
    for lang, stats in languages.items():

        def add(
            metric: str, value: float, unit: str, /, lang: str = lang, **conditions: str | int
        ) -> None:
            found.append(exact(subject, metric, value, unit, lang=lang, conditions={**conditions}))

        add("paragraphs", stats["paragraphs"], "paragraphs")
        add("characters", stats["characters"], "characters")
        for part in SPLITS:
            add("paragraphs_of_part", stats["splits"].get(part, 0), "paragraphs", part=part)
        for name, value in stats.get("tokens_a_word", {}).items():
            add("tokens_a_word", value, "tokens/word", tokenizer=name, paragraphs=stats["n"])
    aside = sum(gathered.counts_aside.values())
    found.append(exact(subject, "set_aside", aside, "lines"))
    found.append(exact(subject, "duplicates", gathered.n_duplicates, "paragraphs"))
    return found + gathered.estimates


STAGE = Stage(
    name="corpus",
    version=2,
    config=CorpusConfig,
    run=run,
    roles={"files/*": "text", "tokenizers/*": "model"},
    data=("corpus/data/*.jsonl",),
)
