"""The attribution stage: where a variant's divergence comes from.

    seemant attribution MODEL --variant runs/compress/4567 --paragraphs runs/corpus/0123

The reference is base + adapter merged in float32, in torch, as in `divergence`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.compress.attribution.config import AttributionConfig
from seemant.core.measurement import Measurement
from seemant.core.stage import Inputs, Stage

if TYPE_CHECKING:
    from seemant.compress.attribution.cells import Cell
    from seemant.compress.attribution.decoders import Pair
    from seemant.compress.attribution.text import Text
    from seemant.stats.bootstrap import Floats

JOURNAL = ".journal.jsonl"
DAMAGE, COLUMNS, READING = "damage.jsonl", "columns.jsonl", "reading.json"


def run(config: AttributionConfig, inputs: Inputs, out: Path) -> list[Measurement]:
    """Fill `out` with damage.jsonl, columns.jsonl and reading.json; return the measurements.

    Raises:
        BadFile: an input is damaged, or the variant's layers cannot stand in the model.
        BadRecord: a language has no text.
    """
    import torch

    from seemant.compress.attribution.damage_map import plan_cells
    from seemant.compress.attribution.explain import explain
    from seemant.compress.attribution.measures import measure
    from seemant.compress.attribution.reading import reading
    from seemant.compress.attribution.summary import summarise
    from seemant.compress.attribution.table import damage_table
    from seemant.core.jsonl import write_json, write_records
    from seemant.core.runlog import log_event
    from seemant.probe.subject import subject_of

    torch.set_num_threads(config.threads)
    pair, text = _open(config, inputs, out)
    cells = plan_cells(pair, remove=config.remove, twins=config.twins, kinds=config.kinds)
    log_event(out, "attributing", cells=len(cells), folded=pair.folded, chunks=len(text.langs))
    sums = _run_cells(config, pair, text, cells, out)
    rows = damage_table(sums, text, config.seed)
    columns = explain(pair, text)
    summary = summarise(sums, columns, text, config.seed)
    sentences = reading(rows, summary, folded=pair.folded)
    write_records(out / DAMAGE, rows)
    write_records(out / COLUMNS, columns)
    told: dict[str, Any] = {"sentences": [each.model_dump() for each in sentences]}
    write_json(out / READING, told | summary.model_dump())
    subject = config.subject or subject_of(
        inputs["model"], inputs.get("adapter"), inputs["variant"]
    )
    return measure(rows, summary, subject)


def _open(config: AttributionConfig, inputs: Inputs, out: Path) -> "tuple[Pair, Text]":
    from seemant.compress.attribution.decoders import open_pair
    from seemant.compress.attribution.text import text_of
    from seemant.compress.source import gguf_of
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import check_base
    from seemant.models.tokenizer import tokenizer_of_metadata
    from seemant.probe.passages import choose_passages, load_paragraphs

    model, adapter = inputs["model"], inputs.get("adapter")
    if adapter:
        check_base(adapter.path, model.path, model.sha256)
    paragraphs = load_paragraphs(inputs["paragraphs"].path, out / "rejected.jsonl")
    path = gguf_of(model.path, "attribution")
    passages = choose_passages(
        paragraphs,
        tokenizer_of_metadata(open_gguf(path).metadata, str(path)),
        config.languages,
        per_language=config.tokens_per_language,
        per_paragraph=config.tokens_per_paragraph,
    )
    pair = open_pair(path, adapter.path if adapter else None, inputs["variant"].path)
    return pair, text_of(passages)


def _run_cells(
    config: AttributionConfig, pair: "Pair", text: "Text", cells: "Sequence[Cell]", out: Path
) -> "dict[Cell, Floats]":
    """Return every cell's sums; those that a killed run left in the journal are not run again."""
    import numpy as np

    from seemant.compress.attribution.damage_map import outcomes, reference_states
    from seemant.compress.attribution.scoring import chunk_sums
    from seemant.core.journal import Journal
    from seemant.core.progress import progress

    with Journal(out / JOURNAL) as journal:
        done = {entry["cell"] for entry in journal.entries}
        to_do = [cell for cell in cells if cell.key not in done]
        if to_do:
            reference = reference_states(pair, text)
            with progress("attribution", len(to_do), "cells") as tick:
                for outcome in outcomes(pair, text, to_do, config.seed):
                    kld = chunk_sums(pair, text, reference, outcome)
                    journal.append({"cell": outcome.cell.key, "kld": kld.tolist()})
                    tick(note=outcome.cell.key)
        found = {entry["cell"]: np.array(entry["kld"]) for entry in journal.entries}
    return {cell: found[cell.key] for cell in cells}


STAGE = Stage(
    name="attribution",
    version=2,
    config=AttributionConfig,
    run=run,
    roles={
        "model": "model",
        "adapter": "adapter?",
        "variant": "variant",
        "paragraphs": "paragraphs",
    },
)
