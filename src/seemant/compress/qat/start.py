"""Where training starts: a variant's codes and scales, or the reference rounded to nearest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.compress.config import CompressConfig
from seemant.compress.methods.quantised import Quantised
from seemant.compress.plan import OUTER, TensorPlan, is_torch_only, plan_tensors
from seemant.compress.rounding import SlicewiseRounding
from seemant.compress.sound import check_finite
from seemant.compress.source import Source
from seemant.core.errors import BadConfig, BadFile
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.packing import CONTAINERS
from seemant.formats.tensor_format import Format, format_of, unpack_format

MODEL_NAME, VARIANT_NAME = "model.gguf", "variant.json"


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The model that training starts from.

    plan: each tensor's fate. quantised: integers of every tensor that has a format, by GGUF name,
    rows in the file's order. kept: values of all others. comparable: whether the weights behind
    the codes are those of the reference: AWQ and rotations move them to other coordinates.
    sparsity: in which pattern the variant was pruned; None: it was not.
    """

    file: GgufFile
    plan: Mapping[str, TensorPlan]
    quantised: Mapping[str, Quantised]
    kept: Mapping[str, NDArray[np.float32]]
    comparable: bool = True
    sparsity: str | None = None


def nearest_start(source: Source, settings: CompressConfig) -> Start:
    """Return every matrix of the reference rounded to nearest, on the settings' grids.

    Raises:
        BadConfig: a grid that no GGUF layout holds, or that does not divide a row.
        BadFile: weights that are not finite, or an unknown architecture.
    """
    plan = plan_tensors(source.file, settings)
    if is_torch_only(plan):
        raise BadConfig(
            "no GGUF layout holds this grid, so there is nothing to export",
            fix="use 8 bits symmetric, or 5 bits and fewer",
        )
    plain = settings.model_copy(update={"fit": "minmax"})  # embeddings: as their file rounds them
    inner, outer = (SlicewiseRounding(source, plan, each) for each in (settings, plain))
    quantised = {
        name: _small((outer if name in OUTER else inner).quantised(name))
        for name, fate in plan.items()
        if fate.format is not None
    }
    kept = {n: np.concatenate(list(source.slices(n))) for n in plan if plan[n].format is None}
    kept = {n: each.reshape(source.file.tensors[n].shape) for n, each in kept.items()}
    return Start(source.file, plan, quantised, kept)


def variant_start(variant: Path, told: Mapping[str, Any], source: Source) -> Start:
    """Return a compress artefact's codes and scales; told: its variant.json.

    Raises:
        BadFile: no such artefact, one without model.gguf, of other tensors than the reference's, or
            with weights that are not finite.
    """
    path = variant / MODEL_NAME
    if not path.is_file():
        raise BadFile(
            "no model.gguf in the variant: training starts from codes that a file holds",
            where=str(variant),
            fix="name a compress artefact on a GGUF grid, or none to start from nearest values",
        )
    file = open_gguf(path)
    _check_tensors(file, source.file)
    check_finite(file)
    plan: dict[str, TensorPlan] = {}
    quantised: dict[str, Quantised] = {}
    kept: dict[str, NDArray[np.float32]] = {}
    for name, tensor in file.tensors.items():
        kind, entry = name.split(".")[-2], told["tensors"].get(name)
        plan[name] = TensorPlan(kind, None if entry is None else format_of(entry["format"]))
        fate = plan[name].format
        if fate is None:
            kept[name] = file.dequantize(name)
        else:
            quantised[name] = _small(Quantised(*unpack_format(tensor.raw(), fate)))
    method = str(told["method"])
    comparable, sparsity = "awq" not in method, told.get("sparsity")
    return Start(file, plan, quantised, kept, comparable=comparable, sparsity=sparsity)


def trainable(format: Format) -> bool:
    """Return whether scales and codes of a format are learned here: all 32-weight types."""
    return format.container in CONTAINERS and not format.is_k and not format.is_float


def _check_tensors(file: GgufFile, reference: GgufFile) -> None:
    theirs = {name: tensor.shape for name, tensor in file.tensors.items()}
    ours = {name: tensor.shape for name, tensor in reference.tensors.items()}
    if theirs != ours:
        other = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
        raise BadFile(
            f"the variant has other tensors than the reference: {', '.join(other[:3])}",
            where=str(file.path),
            fix="train first, then trim the vocabulary; rotated models are not trained here",
        )


def _small(given: Quantised) -> Quantised:
    """Return codes in one byte each: an embedding has as many as all blocks together."""
    grid = given.params.grid
    if grid.bits > 8:
        return given
    return Quantised(given.codes.astype(np.int8 if grid.symmetric else np.uint8), given.params)
