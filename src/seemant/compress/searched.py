"""`compress --search`: formats for every group of tensors, chosen by what was measured.

    table of measured divergence by group and format -> exact knapsack -> the best measured file

A quarter of the calibration text measures, the rest calibrates. Values in the table are rounded
by the file's methods (`search_values`), each matrix by itself; the file's see what came before.
"""

from pathlib import Path
from typing import Any

import torch

from seemant.compress.calibrate.tokens import (
    Text,
    measuring_part,
    read_text,
)
from seemant.compress.config import CompressConfig
from seemant.compress.evaluate.chunks import chunks_of
from seemant.compress.evaluate.reference import Reference
from seemant.compress.evaluate.replaced import set_matrix
from seemant.compress.plan import HEADER_ROOM
from seemant.compress.search.budget import parse_size
from seemant.compress.search.groups import EMBEDDING, HEAD, Group, fixed_bytes, groups_of
from seemant.compress.search.measure import Bench, measured_table
from seemant.compress.search.search import Searched, search_best, search_fewest
from seemant.compress.search_values import rounded_values, rounding_name
from seemant.compress.source import Source
from seemant.core.errors import BadConfig
from seemant.core.journal import Journal
from seemant.core.stage import Input
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.load import load_decoder
from seemant.models.tokenizer import tokenizer_of_metadata

JOURNAL, VALUES = ".search.jsonl", ".search-values"


def search_formats(
    config: CompressConfig, calibration: Input, source: Source, out: Path
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the chosen formats, "TENSOR=FORMAT" each, and what the search found.

    Raises:
        BadConfig: neither a budget nor a divergence, or one that cannot be met; says the nearest.
        BadFile: text that lacks a language or is too short.
    """
    if bool(config.budget) == (config.divergence is not None):
        raise BadConfig(
            "a search needs a budget of bytes or a limit of divergence, one of them",
            where="budget, divergence",
            fix="--budget 240MB, or --divergence 0.1",
        )
    budget = parse_size(config.budget) - HEADER_ROOM if config.budget else 0
    torch.set_num_threads(config.threads)
    text = read_text(calibration.path, rejected=out / "rejected.jsonl")
    decoder = merged_decoder(source)
    groups = groups_of(source.file, bands=config.bands)
    # first, because it says which language the text lacks
    values = rounded_values(config, text, source, groups, out / VALUES)
    reference = _reference(config, text, source, decoder)
    low = {group.name: _low(group, config) for group in groups}
    with Journal(out / JOURNAL) as journal:
        bench = Bench(decoder, reference, groups, values, journal, method=rounding_name(config))
        table = measured_table(bench, menu=config.menu, low=low)
        fixed = fixed_bytes(source.file, groups)
        if config.divergence is not None:
            found = search_fewest(bench, table, config.divergence, fixed=fixed, mixes=config.mixes)
        else:
            found = search_best(bench, table, budget, fixed=fixed, mixes=config.mixes)
    chosen = tuple(f"{name}={kind}" for name, kind in found.allocation.tensors.items())
    return chosen, _facts(config, found, reference)


def _low(group: Group, config: CompressConfig) -> str:
    """Return a group's format in the all-low baseline, which never has a 4-bit embedding."""
    sizes = {each.name: group.n_bytes(each) for each in group.menu(config.menu)}
    outer = group.name in (EMBEDDING, HEAD)
    wanted, else_ = ("q8_0", max) if outer else ("q4_0", min)
    return wanted if wanted in sizes else else_(sizes, key=sizes.__getitem__)


def merged_decoder(source: Source) -> Decoder:
    """Return the float model that is compressed: the base with its adapter merged."""
    decoder = load_decoder(source.file.path, words=False).decoder
    for name, values in source.merged.items():
        set_matrix(decoder, name, values)
    return decoder


def _reference(config: CompressConfig, text: Text, source: Source, decoder: Decoder) -> Reference:
    tokenizer, part = tokenizer_of_metadata(source.file.metadata), measuring_part(text)
    chunks = {
        str(lang): chunks_of(
            part.paragraphs.get(lang, ()),
            tokenizer,
            length=config.search_length,
            limit=config.search_chunks,
        )
        for lang in config.languages
        if lang in part.languages
    }
    marks = tuple(range(1, decoder.shape.layers))
    return Reference.of(decoder, chunks, marks=marks)


def _facts(config: CompressConfig, found: Searched, reference: Reference) -> dict[str, Any]:
    interaction = found.interaction
    return {
        "asked": {"budget": config.budget or None, "divergence": config.divergence},
        "objective": "worst language",
        "groups": dict(found.allocation.formats),
        "predicted_kld": dict(found.allocation.kld),
        "measured_kld": dict(found.kld),
        "measured_rounding": rounding_name(config),
        "gap": found.allocation.gap,
        "r2": None if interaction is None else interaction.r2,
        "reading": None if interaction is None else interaction.reading(),
        "chunks": {
            lang: sum(a == lang for a, _ in reference.chunks) for lang in reference.languages
        },
        "tried": found.tried,
    }
