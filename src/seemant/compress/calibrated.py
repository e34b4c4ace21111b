"""Rounding with calibration: layer by layer, each layer seeing the rounded ones before it.

    text -> sequences by language -> for each block: moments of its inputs -> (AWQ's folds) ->
    the method on every matrix -> the block's outputs with the rounded weights -> the next block

What a layer gave lies in a hidden folder when the next one begins, so a killed run goes on there;
it stays until the variant's file is written and verified.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seemant.compress.calibrate.hessians import mean_size, mixed
from seemant.compress.calibrate.stream import SITE_OF, LayerStream, LayerWork
from seemant.compress.calibrate.tensors import tensors_of
from seemant.compress.calibrate.tied import tied_hessian
from seemant.compress.calibrate.tokens import (
    calibrating_part,
    counts,
    read_text,
    sequences_of,
)
from seemant.compress.config import CompressConfig
from seemant.compress.kept import KeptRounding
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import method_of
from seemant.compress.plan import EMBEDDING, HEAD, OUTER, TensorPlan, is_torch_only
from seemant.compress.rounding import SlicewiseRounding
from seemant.compress.source import Source, gathered
from seemant.core.errors import BadConfig
from seemant.core.memory import give_back_heap
from seemant.core.progress import progress
from seemant.core.stage import Input
from seemant.formats.tensor_format import value_format
from seemant.models.tokenizer import tokenizer_of_metadata

ROUNDED, STREAM = ".rounded", "stream"  # the second inside the first: they go together
SAMPLE_TOKENS = 2048  # that AWQ's candidates are verified on, all languages together
WEIGHED = ("imatrix", "gptq", "sparsegpt")  # whose grid searches weigh errors by the inputs
SUMMED = ("layer_error", "rtn_error")  # over rows; other notes of slices are averaged
_OUTER_ROWS = 16384


def round_calibrated(
    config: CompressConfig,
    calibration: Input,
    source: Source,
    plan: Mapping[str, TensorPlan],
    out: Path,
) -> tuple[KeptRounding, dict[str, Any]]:
    """Return the rounded tensors, and what calibration text they were calibrated on.

    Raises:
        BadFile: text that lacks a language, or is too short; weights that are not finite.
        BadConfig: a method that cannot work on a format.
    """
    if config.prepare and is_torch_only(plan):
        raise BadConfig(
            f"{config.prepare} changes norms, and a variant of codes takes its norms from the base",
            where="prepare",
            fix="use formats that a file holds (5 bits or fewer, or symmetric), or no preparation",
        )
    torch.set_num_threads(config.threads)
    text = read_text(calibration.path, rejected=out / "rejected.jsonl")
    if config.search:  # what measured the formats does not calibrate them
        text = calibrating_part(text)
    sequences = sequences_of(
        text,
        tokenizer_of_metadata(source.file.metadata),
        config.languages,
        tokens=config.calibration_tokens,
        length=config.sequence,
        seed=config.seed,
        allow_gap=config.allow_language_gap,
    )
    shapes = {name: tensor.shape for name, tensor in source.file.tensors.items()}
    kept = KeptRounding(plan, out / ROUNDED, shapes, SlicewiseRounding(source, plan, config))
    stream = LayerStream(
        tensors_of(source),
        {str(lang): each for lang, each in sequences.items()},
        weights={lang: 1.0 for lang in sequences},
        folder=out / ROUNDED / STREAM,
        key=config.model_dump_json(),
    )
    if not _all_kept(kept, stream.kept_layers()):
        kept.drop()  # of a run that cannot go on: nothing of it may be taken for this one's
    with progress("calibrate", stream.tensors.shape.layers, "layers") as tick:
        for work in stream.layers():
            _round_layer(work, config, stream, plan, kept)
            work.advance()
            give_back_heap()
            tick()
    if method_of(config.outer_method).needs != "weights":
        _round_outer(config, stream, plan, kept)
    facts = {
        "label": calibration.label,
        "sha256": calibration.sha256,
        "tokens": counts(sequences),
        "sequence": config.sequence,
        "seed": config.seed,
    }
    return kept, facts


def _all_kept(kept: KeptRounding, layers: int) -> bool:
    """Return whether there are layers to go on from, and every matrix of them is there."""
    first = (
        name
        for name, fate in kept.plan.items()
        if fate.format is not None and name not in OUTER and int(name.split(".")[1]) < layers
    )
    return layers > 0 and all(map(kept.has, first))


def _round_layer(
    work: LayerWork,
    config: CompressConfig,
    stream: LayerStream,
    plan: Mapping[str, TensorPlan],
    kept: KeptRounding,
) -> None:
    """Keep the rounded tensors of one layer, and show them to the layers after it."""
    sizes = {site: mean_size(found) for site, found in work.moments.items() if found}
    hessians = {site: mixed(work.moments.pop(site)) for site in sizes}
    before = dict(work.weights)
    to_round = before
    if config.prepare == "awq":
        to_round, folded, hessians = _awq(work, config, stream, plan, hessians, sizes)
        for name, values in folded.items():
            if plan[name].format is None and values is not before[name]:
                kept.add_float(name, values.numpy())
                work.replace(name, values)
        before = folded
    method = method_of(config.method)
    if method.needs == "weights":
        hessians.clear()
    for name, weight in to_round.items():
        format = plan[name].format
        if format is None:
            continue
        hessian = hessians.get(SITE_OF[plan[name].kind])
        matrix = Matrix(
            name,
            weight.numpy(),
            format,
            config.fit,
            hessian=hessian if method.needs == "hessian" else None,
            importance=_diagonal(hessian) if method.needs == "diagonal" else None,
        )
        found = method.run(matrix, config.method_config)
        kept.add(name, [(before[name].numpy(), found)], matrix.notes)
        work.replace(name, value_format(*found))


def _diagonal(hessian: torch.Tensor | None) -> NDArray[np.float32] | None:
    return None if hessian is None else hessian.diagonal().numpy().copy()


def _awq(
    work: LayerWork,
    config: CompressConfig,
    stream: LayerStream,
    plan: Mapping[str, TensorPlan],
    hessians: dict[str, torch.Tensor],
    sizes: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return a block's tensors as they are to be rounded, as they are folded, and its Hessians."""
    from seemant.compress.awq.config import AwqConfig
    from seemant.compress.awq.moments import SiteMoments
    from seemant.compress.awq.parts import block_parts
    from seemant.compress.awq.prepare import prepare_block

    shape = stream.tensors.shape
    x, lengths = work.sample(SAMPLE_TOKENS // max(1, len(stream.sequences)))
    moments = {site: SiteMoments(h, sizes[site]) for site, h in hessians.items()}
    result = prepare_block(
        work.layer,
        work.weights,
        moments,
        block_parts(shape, work.layer, x, lengths, work.weights),
        lambda name: plan[name].format,
        shape,
        AwqConfig(
            search="mse" if config.method == "imatrix" else config.fit,
            weighed=config.method in WEIGHED,
            clip=method_of(config.method).needs != "hessian",
        ),
        keep_moments=False,
    )
    return result.to_round(), result.weights, hessians


def _round_outer(
    config: CompressConfig,
    stream: LayerStream,
    plan: Mapping[str, TensorPlan],
    kept: KeptRounding,
) -> None:
    """Keep the embedding, or an untied head, rounded by a calibrated method; a few rows at a time.

    An untied embedding is a table alone, for which no method knows better than its own weights.
    """
    tied = stream.tensors.shape.tied
    name = EMBEDDING if tied else HEAD
    if kept.has(name):  # by a run that was killed while it wrote the file
        return
    gain = stream.tensors.whole("blk.0.attn_norm.weight") if tied else None
    hessian = tied_hessian(mixed(stream.final()), config.embedding_share if tied else 0.0, gain)
    format, method = plan[name].format, method_of(config.outer_method)
    assert format is not None  # `plan` looked at what the method can do
    importance, notes = hessian.diagonal().numpy().copy(), dict[str, float]()

    def pieces() -> Iterator[tuple[NDArray[np.float32], Quantised]]:
        at = 0
        for w in gathered(stream.tensors.slices(name), _OUTER_ROWS):
            fit = config.outer_fit
            matrix = Matrix(name, w, format, fit, hessian, importance, first_row=at)
            at += len(w)
            yield w, method.run(matrix, config.method_config)
            for key, value in matrix.notes.items():
                share = 1.0 if key in SUMMED else len(w) / stream.tensors.sizes[name][0]
                notes[key] = notes.get(key, 0.0) + value * share

    kept.add(name, pieces(), notes)
