"""The student: a decoder whose matrices stand on the file's grid and whose norms are trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from seemant.compress.methods.quantised import Quantised
from seemant.compress.plan import OUTER
from seemant.compress.qat.grid_matrix import Codes, GridMatrix
from seemant.compress.qat.latent import FullLatent, Latent, inside_cells
from seemant.compress.qat.linear import QatLinear
from seemant.compress.qat.lora import LoraLatent
from seemant.compress.qat.start import Start, trainable
from seemant.compress.source import Source
from seemant.formats.gguf_read import GgufFile
from seemant.models.decoder.decoder import Decoder
from seemant.models.decoder.gguf_weights import gguf_weights
from seemant.models.decoder.load import Compute, norm_of
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.weights import Blocks, Weights
from seemant.models.frozen.build import frozen
from seemant.models.frozen.linear import FrozenLinear
from seemant.models.hf_config import family_of_metadata
from seemant.models.names import Family, to_gguf, values_to_hf

Mode = Literal["scales", "full", "lora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Learning rates, each in its parameter's own unit.

    scale: relative to the start's step, of scales and offsets. weight: steps of the grid (a
    matrix's mean |d|). lora: of A and B. norm: relative to a norm's mean size.
    """

    scale: float
    weight: float
    lora: float
    norm: float


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """layers: the trained matrices by GGUF name; norms: likewise; family: for row orders."""

    decoder: Decoder
    layers: Mapping[str, QatLinear]
    norms: Mapping[str, RmsNorm]
    family: Family

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name, in a fixed order."""
        found: dict[str, nn.Parameter] = {}
        for name, layer in self.layers.items():
            found |= {f"{name}/{key}": each for key, each in layer.named_parameters()}
        for name, norm in self.norms.items():
            found[name] = norm.get_parameter("weight")
        return found

    def groups(self, rates: Rates) -> list[dict[str, object]]:
        """Return the optimiser's groups, one a parameter, each with its rate as `base`."""
        found = []
        for name, parameter in self.parameters().items():
            tensor, _, key = name.partition("/")
            if not key:
                base = rates.norm * float(self.norms[tensor].scale().detach().abs().mean())
            elif key in ("scale", "offset"):
                base = rates.scale
            elif key == "latent.weight":
                base = rates.weight * float(self.layers[tensor].d0.abs().mean())
            else:
                base = rates.lora
            found.append({"params": [parameter], "base": base})
        return found

    def quantised(self) -> Iterator[tuple[str, Quantised]]:
        """Yield (GGUF name, what is packed) of each trained matrix, in the file's row order."""
        for name, layer in self.layers.items():
            order = row_order(name, layer.out_features, self.family)
            back = torch.empty_like(order)
            back[order] = torch.arange(len(order))
            yield name, layer.codes().rows(back).quantised()

    def kept(self) -> dict[str, np.ndarray]:
        """Return the trained norms as GGUF stores them: what their rows are multiplied by."""
        return {name: norm.scale().detach().numpy().copy() for name, norm in self.norms.items()}


def build_student(
    start: Start,
    source: Source,
    mode: Mode,
    *,
    rank: int = 16,
    alpha: float = 16.0,
    slack: float = 0.5,
    base: Compute = "float32",
    compute: Compute = "float32",
    seed: int = 0,
) -> Student:
    """Return the student that starts at `start`, its latents leaning to the source's weights.

    rank, alpha, base: of mode "lora". slack: see `latent.inside_cells`.
    Embedding and head stay at their codes, k-quants and F16 matrices at their values.
    """
    file = start.file
    weights, family = gguf_weights(file), family_of_metadata(file.metadata)
    parts: dict[str, nn.Module] = {}
    layers: dict[str, QatLinear] = {}
    norms: dict[str, RmsNorm] = {}
    for hf, size in weights.shape.tensors().items():
        module, _, kind = hf.rpartition(".")
        name = to_gguf(hf, family.name)
        if kind == "bias":
            continue
        if len(size) == 1:
            parts[module] = norms[name] = norm_of(weights, module, trained=True)
            continue
        format = start.plan[name].format
        if format is None or not trainable(format):
            parts[module] = _kept(weights, hf, outer=name in OUTER)
            continue
        codes = Codes.of(start.quantised[name])
        if name in OUTER:
            parts[module] = GridMatrix(codes)
            continue
        order = row_order(name, size[0], family)
        latent: Latent | None = None
        if mode != "scales":
            leaning = slack if start.comparable else 0.0
            inside = inside_cells(_whole(source, name), codes, leaning)[order]
            unit = float(codes.d.abs().mean())
            latent = (
                FullLatent(inside)
                if mode == "full"
                else LoraLatent(
                    inside.to(getattr(torch, base)), rank, unit * alpha / rank, seed=seed, name=name
                )
            )
        layer = QatLinear(codes.rows(order), latent=latent, bias=_bias(weights, module))
        parts[module] = layers[name] = layer
    decoder = Decoder(weights.shape, parts, compute=getattr(torch, compute))
    return Student(decoder, layers, norms, family)


def row_order(name: str, rows: int, family: Family) -> Tensor:
    """Return which row of the file each row of the decoder's matrix is, (rows,) int64."""
    index = np.arange(rows, dtype=np.float32)[:, None]  # exact below 2^24 rows
    return torch.from_numpy(values_to_hf(name, index, family).astype(np.int64).ravel())


def reference_weights(file: GgufFile, source: Source) -> Weights:
    """Return the reference's tensors: the base file's, and the merged ones of the adapter."""
    plain, family = gguf_weights(file), family_of_metadata(file.metadata)
    blocks = dict(plain.blocks)
    for hf in plain.blocks:
        values = source.merged.get(to_gguf(hf, family.name))
        if values is not None:
            in_order = values_to_hf(to_gguf(hf, family.name), values, family)
            blocks[hf] = _given(torch.from_numpy(np.ascontiguousarray(in_order)))
    return Weights(plain.shape, blocks)


def _given(values: Tensor) -> Blocks:
    return lambda: iter([values])


def _whole(source: Source, name: str) -> Tensor:
    return torch.from_numpy(np.concatenate(list(source.slices(name))))


def _kept(weights: Weights, hf: str, *, outer: bool) -> nn.Module:
    rows, columns = weights.shape.tensors()[hf]
    matrix = frozen("float32", (rows, columns), weights.blocks[hf](), name=hf)
    return matrix if outer else FrozenLinear(matrix, _bias(weights, hf.rpartition(".")[0]))


def _bias(weights: Weights, module: str) -> Tensor | None:
    name = f"{module}.bias"
    return weights.whole(name) if name in weights.blocks else None
