"""What one family's table says: names, row layout, norms, layers, defaults.

A family whose blocks are made of the parts that `decoder/block.py` has needs a table and no more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seemant.core.errors import BadFile

SLIDING, FULL = "sliding_attention", "full_attention"

# The parts of a plain block: GGUF's names and transformers'.
PLAIN_BLOCK: Mapping[str, str] = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's attention. window: tokens that it sees, itself among them; None: all before it.

    rope: which rotation of the configuration it takes (`FULL`, `SLIDING`); None: it has none.
    """

    window: int | None = None
    rope: str | None = FULL


def same_layers(config: Mapping[str, Any]) -> list[Layer]:
    """Return layers that all see everything and are all rotated."""
    return [Layer()] * int(config["num_hidden_layers"])


def kinds_of_layers(config: Mapping[str, Any]) -> list[str] | None:
    """Return `layer_types`; None where the configuration does not say them.

    Raises:
        BadFile: too few or too many, or of a kind that is not read here.
    """
    given, layers = config.get("layer_types"), int(config["num_hidden_layers"])
    if not given:
        return None
    kinds = [str(each) for each in given]
    if len(kinds) != layers or set(kinds) - {SLIDING, FULL}:
        raise unread("layer_types", given, f"{layers} of {SLIDING}, {FULL}")
    return kinds


def unread(key: str, value: object, known: str) -> BadFile:
    """Return the refusal of a setting of a `config.json` that is not read here."""
    shown = repr(value)
    return BadFile(
        f"{key} = {shown if len(shown) < 80 else shown[:77] + '...'} is not read here",
        where=f"config.json: {key}",
        fix=f"use a model whose {key} is {known}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One family.

    arch: GGUF's `general.architecture`. model_type, model_class: transformers' names.
    defaults: what transformers takes for a setting that a `config.json` leaves out; without
        `num_key_value_heads`, every head has its own; without `head_dim`, heads share the width.
    theta: of the rotation, where the configuration does not say it.
    block: the parts of a block, GGUF's name: transformers'.
    interleaved: rows of q and k stand in GGUF with each head's two halves interleaved.
    gemma_norms: norms multiply by 1 + w (GGUF stores w + 1), stand after attention and gated layer
        too, embeddings are scaled, the gate is GELU.
    qk_norm: q and k are normalised by head. fused: q, k and v are one matrix, gate and up too.
    biases: projections that always have a bias. may_have: those that `attention_bias` and
        `mlp_bias` give one. gguf_biases: those whose bias llama.cpp reads.
    layers: what each layer's attention sees and how it is rotated.
    rotations: kinds that a GGUF file of the family can say.
    part_rotated: whether only a part of each head may be rotated.
    """

    arch: str
    model_type: str
    model_class: str
    defaults: Mapping[str, Any]
    theta: float = 10_000.0
    block: Mapping[str, str] = field(default_factory=lambda: PLAIN_BLOCK)
    interleaved: bool = False
    gemma_norms: bool = False
    qk_norm: bool = False
    fused: bool = False
    biases: frozenset[str] = frozenset()
    may_have: frozenset[str] = frozenset()
    gguf_biases: frozenset[str] = frozenset()
    layers: Callable[[Mapping[str, Any]], list[Layer]] = same_layers
    rotations: frozenset[str] = frozenset({"default", "linear"})
    part_rotated: bool = False
