"""How a model's positions are rotated, read from a configuration. Nothing here imports torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seemant.core.errors import BadFile
from seemant.models.families.family import FULL, SLIDING, Table, unread
from seemant.models.families.gemma3 import LOCAL_ROPE

Kind = Literal["default", "linear", "llama3", "factors", "longrope", "none"]


@dataclass(frozen=True, slots=True)
class Rope:
    """One rotation: frequency i is theta^(-2i / d), then slowed as `kind` says.

    kind "linear": divided by `factor`. "llama3": divided by `factor` where the wavelength is over
    original / low, untouched under original / high, blended between (Llama 3.1's rule).
    "factors": divided by `factors[i]` each (GGUF's rope_freqs). "longrope": by `factors[i]` in rows
    of up to `original` tokens, by `long_factors[i]` in longer ones; both cosine and sine times
    `attention`. "none": no rotation.
    """

    theta: float
    kind: Kind = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192
    factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()
    attention: float = 1.0


NO_ROPE = Rope(1.0, "none")


def rope_of_config(
    config: Mapping[str, Any], table: Table, kind: str | None, factors: tuple[float, ...] = ()
) -> Rope:
    """Return a layer's rotation. kind: `Layer.rope`. factors: of a GGUF file's `rope_freqs`.

    Raises:
        BadFile: a rotation that is not read here, or one that lacks a number.
    """
    if kind is None:
        return NO_ROPE
    said = settings_of(config, table, kind)
    how = str(said.get("rope_type") or said.get("type") or "default")
    if table.part_rotated and how in ("su", "yarn"):
        how = "longrope"  # as transformers reads Phi-3's old names
    try:
        return _rope(config, said, how, factors)
    except KeyError as error:
        raise BadFile(
            f"the rotation of the type {how!r} lacks {error.args[0]}",
            where="config.json: rope_parameters, rope_scaling",
            fix="fetch the model's config.json again",
        ) from error


def frequency_factors(rope: Rope, width: int) -> list[float]:
    """Return what Llama 3.1's rule divides each of width / 2 frequencies by.

    The rule blends frequencies; llama.cpp's converter writes their inverse, 1 / blend.
    """
    longest, shortest = rope.original / rope.low, rope.original / rope.high
    factors = []
    for i in range(0, width, 2):
        wave = 2 * math.pi * rope.theta ** (i / width)
        if wave > longest or wave < shortest:
            factors.append(rope.factor if wave > longest else 1.0)
            continue
        blend = (rope.original / wave - rope.low) / (rope.high - rope.low)
        factors.append(1 / ((1 - blend) / rope.factor + blend))
    return factors


def settings_of(config: Mapping[str, Any], table: Table, kind: str) -> dict[str, Any]:
    """Return what a configuration says of the rotation of one kind of layer.

    Newer ones say all of it in `rope_parameters`, for each kind of layer where they differ; older
    ones beside `rope_scaling`, whose kind was called "type" before "rope_type". Where both are
    there, `rope_scaling` counts, as in transformers: it is what people add by hand.
    """
    scaling = {} if kind == SLIDING else dict(config.get("rope_scaling") or {})
    given = dict(config.get("rope_parameters") or {})
    if {SLIDING, FULL} & set(given):
        given = dict(given.get(kind) or {}) | scaling
    elif scaling:
        given = scaling
    theta = config.get("rope_theta") or table.theta
    if kind == SLIDING:
        theta = config.get("rope_local_base_freq") or LOCAL_ROPE
    old = {"rope_theta": theta}
    if config.get("partial_rotary_factor") is not None:
        old["partial_rotary_factor"] = config["partial_rotary_factor"]
    return old | {key: value for key, value in given.items() if value is not None}


def _rope(
    config: Mapping[str, Any], said: Mapping[str, Any], how: str, factors: tuple[float, ...]
) -> Rope:
    theta = float(said["rope_theta"])
    if factors:
        return Rope(theta, "factors", factors=factors)
    if how == "default":
        return Rope(theta)
    if how == "linear":
        return Rope(theta, "linear", float(said["factor"]))
    if how == "llama3":
        original = said.get("original_max_position_embeddings") or config["max_position_embeddings"]
        low, high = float(said["low_freq_factor"]), float(said["high_freq_factor"])
        return Rope(theta, "llama3", float(said["factor"]), low, high, int(original))
    if how == "longrope":
        return _longrope(config, said, theta)
    raise unread(
        "rope_type",
        how,
        "default, linear, llama3 or longrope; where texts are short, take it out of config.json",
    )


def _longrope(config: Mapping[str, Any], said: Mapping[str, Any], theta: float) -> Rope:
    # As transformers: the factor is the ratio of the lengths where it is not said.
    original = int(
        config.get("original_max_position_embeddings")
        or said.get("original_max_position_embeddings")
        or config["max_position_embeddings"]
    )
    factor = said.get("factor") or int(config["max_position_embeddings"]) / original
    attention = said.get("attention_factor")
    if attention is None:
        slower = math.log(factor) / math.log(original) if factor > 1 else 0.0
        attention = math.sqrt(1 + slower)
    short, long = (tuple(map(float, said[f"{each}_factor"])) for each in ("short", "long"))
    return Rope(
        theta,
        "longrope",
        original=original,
        factors=short,
        long_factors=long,
        attention=float(attention),
    )
