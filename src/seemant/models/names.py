"""Tensor names and layouts: GGUF's and transformers', for the families that are read here.

The names are a bijection. Two layouts differ. Llama's (and SmolLM3's) q and k rows are interleaved
in GGUF, as llama.cpp rotates neighbours (x0, x1) where transformers rotates halves (x0, x_d/2).
Gemma's norm weights are stored +1, as llama.cpp multiplies by w, transformers by 1 + w.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.models.families.registry import TABLES, USE_A_FAMILY

Array = NDArray[np.float32]

FAMILIES = tuple(TABLES)
ROPE_FACTORS = "rope_freqs.weight"  # Llama 3's frequency factors: of the rotation, not a weight
LONG_FACTORS, SHORT_FACTORS = "rope_factors_long.weight", "rope_factors_short.weight"  # LongRoPE's
ROPE_TENSORS = (ROPE_FACTORS, LONG_FACTORS, SHORT_FACTORS)

_OUTER = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}


@dataclass(frozen=True, slots=True)
class Family:
    """A model family and the two numbers that its row layout depends on."""

    name: str
    n_heads: int
    n_kv_heads: int

    def __post_init__(self) -> None:
        if self.name not in FAMILIES:
            raise BadFile(
                f"models of the architecture {self.name!r} are not read here",
                where="general.architecture",
                fix=USE_A_FAMILY,
            )


def to_hf(name: str, family: str) -> str:
    """Return the transformers name of a GGUF tensor.

    Raises:
        BadFile: the family has no such tensor.
    """
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name):
        layer, part, kind = match.groups()
        if part in (block := TABLES[family].block):
            return f"model.layers.{layer}.{block[part]}.{kind}"
    elif (match := re.fullmatch(r"(\w+)\.(weight|bias)", name)) and match[1] in _OUTER:
        return f"{_OUTER[match[1]]}.{match[2]}"
    raise BadFile(
        f"a {family} model has no tensor {name!r}", fix="use a file of a plain decoder model"
    )


def is_placed(name: str) -> bool:
    """Return whether any family that is read here has a GGUF tensor of this name."""
    if name in ROPE_TENSORS:
        return True
    for family in FAMILIES:
        with suppress(BadFile):
            return bool(to_hf(name, family))
    return False


def to_gguf(name: str, family: str) -> str:
    """Return the GGUF name of a transformers tensor; the inverse of `to_hf`.

    Raises:
        BadFile: the family has no such tensor.
    """
    stem, _, kind = name.rpartition(".")
    if kind in ("weight", "bias"):
        if match := re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem):
            layer, part = match.groups()
            names = {hf: gguf for gguf, hf in TABLES[family].block.items()}
            if part in names:
                return f"blk.{layer}.{names[part]}.{kind}"
        for gguf, hf in _OUTER.items():
            if stem == hf:
                return f"{gguf}.{kind}"
    raise BadFile(
        f"a {family} model has no tensor {name!r}", fix="use a folder of a plain decoder model"
    )


def values_to_hf(name: str, values: Array, family: Family) -> Array:
    """Return a GGUF tensor's values in transformers' layout. `name` is the GGUF name."""
    if heads := permuted_heads(name, family):
        return _to_halves(values, heads)
    return values - np.float32(1) if is_shifted_norm(name, family) else values


def values_to_gguf(name: str, values: Array, family: Family) -> Array:
    """Return a transformers tensor's values in GGUF's layout. `name` is the GGUF name."""
    if heads := permuted_heads(name, family):
        return to_neighbours(values, heads)
    return values + np.float32(1) if is_shifted_norm(name, family) else values


def permuted_heads(name: str, family: Family) -> int | None:
    """Return over how many heads a tensor's rows are interleaved in GGUF; None: not at all."""
    if not TABLES[family.name].interleaved:
        return None
    if ".attn_q." in name:
        return family.n_heads
    return family.n_kv_heads if ".attn_k." in name else None


def is_shifted_norm(name: str, family: Family) -> bool:
    """Return whether a tensor is a norm that GGUF stores +1."""
    return TABLES[family.name].gemma_norms and name.endswith("norm.weight")


def to_neighbours(values: Array, n_heads: int) -> Array:
    """Return rows (n_heads * d, ...) with each head's two halves interleaved: GGUF's order."""
    rest = values.shape[1:]
    return values.reshape(n_heads, 2, -1, *rest).swapaxes(1, 2).reshape(values.shape)


def _to_halves(values: Array, n_heads: int) -> Array:
    rest = values.shape[1:]
    return values.reshape(n_heads, -1, 2, *rest).swapaxes(1, 2).reshape(values.shape)
