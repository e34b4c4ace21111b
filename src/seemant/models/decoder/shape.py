"""The shape of a decoder, read from a transformers `config.json`. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seemant.core.errors import BadFile
from seemant.models.hf_config import GEMMA_LOCAL_ROPE, GEMMA_PATTERN, family_of_config

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")

Activation = Literal["silu", "gelu_tanh"]
_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
}
_MAX_LENGTH = {"llama": 2048, "qwen2": 32_768, "qwen3": 32_768, "gemma3": 131_072}


@dataclass(frozen=True, slots=True)
class Rope:
    """One rotation: frequency i is theta^(-2i / head_dim), then slowed as `kind` says.

    kind "linear": divided by `factor`. "llama3": divided by `factor` where the wavelength is over
    original / low, untouched under original / high, blended between (Llama 3.1's rule).
    "factors": divided by `factors[i]` each (GGUF's rope_freqs).
    """

    theta: float
    kind: Literal["default", "linear", "llama3", "factors"] = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderShape:
    """Everything that decides a decoder's function, apart from its weights.

    d, ff: widths of the residual stream and of the gated layer. windows, ropes: one a layer; a
    window of w lets a token see itself and the w - 1 before it, None: all before it.
    biases: the projections that have one ("q_proj", ...). qk_norm: q and k are normalised by head.
    gemma_norms: norms multiply by 1 + w, and stand after attention and gated layer, too.
    query_scale: scores are q·k times this. softcap: logits become c tanh(logit / c).
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
    family = family_of_config(config)
    name, gemma = family.name, family.name == "gemma3"
    d, heads, layers = (
        int(config[key]) for key in ("hidden_size", "num_attention_heads", "num_hidden_layers")
    )
    head_dim = int(config.get("head_dim") or {"gemma3": 256, "qwen3": 128}.get(name, d // heads))
    if gemma and config.get("use_bidirectional_attention"):
        raise _unread("use_bidirectional_attention", True, "causal decoders only")
    kinds = _layer_kinds(config, name, layers)
    window = config.get("sliding_window")
    ropes = {kind: _rope(config, name, kind, rope_factors) for kind in set(kinds)}
    query = float(config.get("query_pre_attn_scalar", 256)) if gemma else float(head_dim)
    softcap = config.get("final_logit_softcapping") if gemma else None
    return DecoderShape(
        family=name,
        vocab=int(config["vocab_size"]),
        d=d,
        ff=int(config["intermediate_size"]),
        layers=layers,
        heads=heads,
        kv_heads=family.n_kv_heads,
        head_dim=head_dim,
        tied=bool(config.get("tie_word_embeddings", gemma)),
        eps=float(config.get("rms_norm_eps", 1e-6)),
        windows=tuple(int(window) if kind == SLIDING and window else None for kind in kinds),
        ropes=tuple(ropes[kind] for kind in kinds),
        biases=_biases(config, name),
        qk_norm=name in ("qwen3", "gemma3"),
        gemma_norms=gemma,
        activation=_activation(config, gemma),
        embed_scale=d**0.5 if gemma else 1.0,
        query_scale=query**-0.5,
        softcap=None if softcap is None else float(softcap),
        max_length=int(config.get("max_position_embeddings") or _MAX_LENGTH[name]),
    )


SLIDING, FULL = "sliding_attention", "full_attention"


def _layer_kinds(config: Mapping[str, Any], family: str, layers: int) -> list[str]:
    if given := config.get("layer_types"):
        kinds = [str(each) for each in given]
        if len(kinds) != layers or set(kinds) - {SLIDING, FULL}:
            raise _unread("layer_types", given, f"{layers} of {SLIDING}, {FULL}")
        return kinds if family != "llama" else [FULL] * layers
    if family == "gemma3":
        every = int(config.get("sliding_window_pattern") or GEMMA_PATTERN)
        return [SLIDING if (layer + 1) % every else FULL for layer in range(layers)]
    if family.startswith("qwen") and config.get("use_sliding_window"):
        first = int(config.get("max_window_layers", 28))
        return [SLIDING if layer >= first else FULL for layer in range(layers)]
    return [FULL] * layers


def _rope(config: Mapping[str, Any], family: str, kind: str, factors: tuple[float, ...]) -> Rope:
    given = config.get("rope_parameters") or {}
    nested = given.get(kind) if {SLIDING, FULL} & set(given) else given
    if family == "gemma3":
        old = {"rope_theta": config.get("rope_theta", 1e6)} | (config.get("rope_scaling") or {})
        if kind == SLIDING:
            old = {"rope_theta": config.get("rope_local_base_freq", GEMMA_LOCAL_ROPE)}
    else:
        old = {"rope_theta": config.get("rope_theta", 10_000.0)}
        old |= config.get("rope_scaling") or {}
    rope = old | dict(nested or {})
    theta, how = float(rope["rope_theta"]), rope.get("rope_type", rope.get("type", "default"))
    if float(rope.get("partial_rotary_factor") or 1.0) != 1.0:
        raise _unread("partial_rotary_factor", rope["partial_rotary_factor"], "1.0")
    if factors:
        return Rope(theta, "factors", factors=factors)
    if how in ("default", None):
        return Rope(theta)
    if how == "linear":
        return Rope(theta, "linear", float(rope["factor"]))
    if how == "llama3":
        original = rope.get("original_max_position_embeddings") or config["max_position_embeddings"]
        low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
        return Rope(theta, "llama3", float(rope["factor"]), low, high, int(original))
    raise _unread("rope_type", how, "default, linear, llama3")


def _biases(config: Mapping[str, Any], family: str) -> frozenset[str]:
    if family == "qwen2":
        return frozenset(ATTENTION[:3])
    attention = ATTENTION if config.get("attention_bias") else ()
    return frozenset((*attention, *(MLP if family == "llama" and config.get("mlp_bias") else ())))


def _activation(config: Mapping[str, Any], gemma: bool) -> Activation:
    key = "hidden_activation" if gemma else "hidden_act"
    name = str(config.get(key) or ("gelu_pytorch_tanh" if gemma else "silu"))
    if name not in _ACTIVATIONS:
        raise _unread(key, name, ", ".join(_ACTIVATIONS))
    return _ACTIVATIONS[name]


def _unread(key: str, value: Any, known: str) -> BadFile:
    return BadFile(
        f"{key} = {value!r} is not read here",
        where=f"config.json: {key}",
        fix=f"use a model whose {key} is {known}",
    )
