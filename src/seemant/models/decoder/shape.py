"""The shape of a decoder, read from a transformers `config.json`. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seemant.core.errors import BadFile
from seemant.models.decoder.rope import Rope, rope_of_config, settings_of
from seemant.models.families.family import FULL, Table, unread
from seemant.models.families.registry import completed, table_of_config

__all__ = ["ATTENTION", "MLP", "Activation", "DecoderShape", "Rope", "shape_of_config"]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")

Activation = Literal["silu", "gelu_tanh"]
_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderShape:
    """Everything that decides a decoder's function, apart from its weights.

    d, ff: widths of the residual stream and of the gated layer. windows, ropes: one a layer; a
    window of w lets a token see itself and the w - 1 before it, None: all before it.
    biases: the projections that have one ("q_proj", ...). qk_norm: q and k are normalised by head.
    gemma_norms: norms multiply by 1 + w, and stand after attention and gated layer, too.
    query_scale: scores are q·k times this. softcap: logits become c tanh(logit / c).
    fused: q, k and v are one linear, gate and up another. rotated: numbers of each head that are
    rotated, the first of them; None: all.
    """

    family: str
    vocab: int
    d: int
    ff: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool
    eps: float
    windows: tuple[int | None, ...]
    ropes: tuple[Rope, ...]
    biases: frozenset[str]
    qk_norm: bool
    gemma_norms: bool
    activation: Activation
    embed_scale: float
    query_scale: float
    softcap: float | None
    max_length: int
    fused: bool = False
    rotated: int | None = None

    @property
    def rotary_dim(self) -> int:
        """How many numbers of each head are rotated."""
        return self.head_dim if self.rotated is None else self.rotated

    def linears(self) -> dict[str, tuple[int, int]]:
        """Return (out, in) of every linear of the blocks, by transformers' module name."""
        one = self.layer_linears()
        return {
            f"model.layers.{layer}.{name}": size
            for layer in range(self.layers)
            for name, size in one.items()
        }

    def layer_linears(self) -> dict[str, tuple[int, int]]:
        """Return (out, in) of the linears of one block, by their name inside it."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        if self.fused:
            return {
                "self_attn.qkv_proj": (q + 2 * kv, self.d),
                "self_attn.o_proj": (self.d, q),
                "mlp.gate_up_proj": (2 * self.ff, self.d),
                "mlp.down_proj": (self.d, self.ff),
            }
        sizes = ((q, self.d), (kv, self.d), (kv, self.d), (self.d, q))
        attention = {f"self_attn.{name}": size for name, size in zip(ATTENTION, sizes, strict=True)}
        mlp_sizes = ((self.ff, self.d), (self.ff, self.d), (self.d, self.ff))
        return attention | {f"mlp.{name}": size for name, size in zip(MLP, mlp_sizes, strict=True)}

    def layer_norms(self) -> dict[str, int]:
        """Return the width of the norms of one block, by their name inside it."""
        norms = {"input_layernorm": self.d, "post_attention_layernorm": self.d}
        if self.gemma_norms:
            norms |= {"pre_feedforward_layernorm": self.d, "post_feedforward_layernorm": self.d}
        if self.qk_norm:
            norms |= {"self_attn.q_norm": self.head_dim, "self_attn.k_norm": self.head_dim}
        return norms

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor of the model, by transformers' name; a tied head once.

        In the order in which they are used: embedding, blocks, last norm, head.
        """
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab, self.d)}
        linears, norms = self.layer_linears(), self.layer_norms()
        for layer in range(self.layers):
            before = f"model.layers.{layer}."
            for name, (n_out, n_in) in linears.items():
                found[f"{before}{name}.weight"] = (n_out, n_in)
                if name.rpartition(".")[2] in self.biases:
                    found[f"{before}{name}.bias"] = (n_out,)
            found |= {f"{before}{name}.weight": (width,) for name, width in norms.items()}
        found["model.norm.weight"] = (self.d,)
        if not self.tied:
            found["lm_head.weight"] = (self.vocab, self.d)
        return found

    def n_parameters(self) -> int:
        """Return how many numbers the model has; a tied head counts once."""
        total = 0
        for size in self.tensors().values():
            n = 1
            for each in size:
                n *= each
            total += n
        return total


def shape_of_config(
    config: Mapping[str, Any], *, rope_factors: tuple[float, ...] = ()
) -> DecoderShape:
    """Return the shape of a transformers configuration, of the old and the new way of writing it.

    rope_factors: one a frequency, of a GGUF file's `rope_freqs`.
    `attn_logit_softcapping` is Gemma 2's: transformers and llama.cpp both pass over it in a
    Gemma 3 configuration, and so does this.

    Raises:
        BadFile: another family, or a setting that is not read here; both name what is.
    """
    table, config = table_of_config(config), completed(config)
    d, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    gemma, head_dim = table.gemma_norms, int(config.get("head_dim") or d // heads)
    layers = table.layers(config)
    ropes = {
        kind: rope_of_config(config, table, kind, rope_factors)
        for kind in {layer.rope for layer in layers}
    }
    rotated = _rotated(config, table, head_dim)
    for rope in ropes.values():
        _check_factors(rope, (rotated or head_dim) // 2)
    softcap = config.get("final_logit_softcapping") if gemma else None
    query = config["query_pre_attn_scalar"] if gemma else head_dim
    return DecoderShape(
        family=table.arch,
        vocab=int(config["vocab_size"]),
        d=d,
        ff=int(config["intermediate_size"]),
        layers=len(layers),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        tied=bool(config["tie_word_embeddings"]),
        eps=float(config["rms_norm_eps"]),
        windows=tuple(layer.window for layer in layers),
        ropes=tuple(ropes[layer.rope] for layer in layers),
        biases=_biases(config, table),
        qk_norm=table.qk_norm,
        gemma_norms=gemma,
        activation=_activation(config, gemma),
        embed_scale=d**0.5 if gemma else 1.0,
        query_scale=float(query) ** -0.5,
        softcap=None if softcap is None else float(softcap),
        max_length=int(config["max_position_embeddings"]),
        fused=table.fused,
        rotated=rotated,
    )


def _rotated(config: Mapping[str, Any], table: Table, head_dim: int) -> int | None:
    part = float(settings_of(config, table, FULL).get("partial_rotary_factor") or 1.0)
    if part == 1.0:
        return None
    if not table.part_rotated:
        raise unread("partial_rotary_factor", part, "1.0")
    return int(head_dim * part)


def _check_factors(rope: Rope, n: int) -> None:
    for given in (rope.factors, rope.long_factors):
        if given and len(given) != n:
            raise BadFile(
                f"the rotation has {len(given)} factors for {n} frequencies",
                where="config.json: rope_scaling, or the file's rope_freqs",
                fix="fetch or convert the model again",
            )


def _biases(config: Mapping[str, Any], table: Table) -> frozenset[str]:
    asked = {*(ATTENTION if config.get("attention_bias") else ())}
    asked |= {*(MLP if config.get("mlp_bias") else ())}
    return table.biases | (table.may_have & asked)


def _activation(config: Mapping[str, Any], gemma: bool) -> Activation:
    key = "hidden_activation" if gemma else "hidden_act"
    name = str(config[key])
    if name not in _ACTIVATIONS:
        raise unread(key, name, ", ".join(_ACTIVATIONS))
    return _ACTIVATIONS[name]
