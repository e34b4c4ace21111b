"""One block: norm, attention, residual, norm, gated layer, residual. Modules have HF's names.

What a block keeps for backward (T tokens; types: c the compute type, f float32; H = heads *
head_dim, G = kv_heads * head_dim, r the adapters' rank). `saved.py` counts the same list, and a
test counts the real storages:

    tensor                                  shape, type        kept by
    block input                             T, d         c     input norm
    r of each norm                          T            f     each norm; T heads + T kv_heads of
                                                               the q and k norms
    normalised input                        T, d         c     adapters of q, k, v: one storage
    q and k before norm and rotation        T, H + G     c     q and k norms, where there are any
    q and k rotated, v                      T, H + 2 G   c     attention
    attention weights P                     blocks       c     attention, of rows up to `KEEP`
    attention's output                      T, H         c     adapter of o
    o's output                              T, d         c     Gemma's norm after attention
    residual stream after attention         T, d         c     second norm
    its normalised form                     T, d         c     adapters of gate and up
    gate, up                                T, 2 ff      c     gated activation; one storage where
                                                               they are one matrix
    act(gate) * up                          T, ff        c     adapter of down
    down's output                           T, d         c     Gemma's norm after the gated layer
    x Aᵀ                                    T, 7 r       c     the adapters; 4 r of fused ones

With checkpointing only the first line stays, and the rest is there for the one block that is being
differentiated. A frozen linear without an adapter keeps nothing, so the lines of the adapters fall
away without them; a trained linear keeps its input in their place. Codes, weights, masks and
rotation tables are the model's own and in no list.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from seemant.models.decoder.attention import Layout, Segments, attention
from seemant.models.decoder.gated import gated
from seemant.models.decoder.norm import RmsNorm
from seemant.models.decoder.rotary import Table, rotated
from seemant.models.decoder.shape import DecoderShape


@dataclass(frozen=True, slots=True)
class Rows:
    """What all layers need to know of a batch: its segments, and each layer's rotations."""

    segments: Segments | Layout
    q_tables: tuple[Table, ...]
    k_tables: tuple[Table, ...]


class Attention(nn.Module):
    """q, k, v (three linears, or one) and o; q and k norms where the family has them."""

    q_proj: nn.Module
    k_proj: nn.Module
    v_proj: nn.Module
    qkv_proj: nn.Module
    o_proj: nn.Module

    def __init__(self, shape: DecoderShape, layer: int, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.heads, shape.kv_heads, shape.head_dim
        self.layer, self.window = layer, shape.windows[layer]
        self.eps, self.query_scale = shape.eps, shape.query_scale
        self.fused = shape.fused
        for name in ("qkv_proj",) if shape.fused else ("q_proj", "k_proj", "v_proj"):
            setattr(self, name, parts[f"self_attn.{name}"])
        self.o_proj = parts["self_attn.o_proj"]
        self.q_norm = parts.get("self_attn.q_norm")
        self.k_norm = parts.get("self_attn.k_norm")

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Return o(attention(x)): x (N, d) -> (N, d)."""
        q, k, v = (
            each.view(-1, n, self.head_dim)
            for each, n in zip(
                self.projected(x), (self.heads, self.kv_heads, self.kv_heads), strict=True
            )
        )
        q_weight = k_weight = None
        if isinstance(self.q_norm, RmsNorm) and isinstance(self.k_norm, RmsNorm):
            q_weight, k_weight = self.q_norm.scale() * self.query_scale, self.k_norm.scale()
        q = rotated(q, rows.q_tables[self.layer], q_weight, self.eps)
        k = rotated(k, rows.k_tables[self.layer], k_weight, self.eps)
        out: Tensor = self.o_proj(attention(q, k, v, rows.segments, self.window))
        return out

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q (N, heads * head_dim), k and v (N, kv_heads * head_dim) of x (N, d)."""
        if not self.fused:
            return self.q_proj(x), self.k_proj(x), self.v_proj(x)
        sizes = (self.heads * self.head_dim, *(self.kv_heads * self.head_dim,) * 2)
        q, k, v = self.qkv_proj(x).split(sizes, 1)
        return q, k, v.contiguous()  # rotation makes q and k anew; v alone would keep all three


class GatedLayer(nn.Module):
    """down(act(gate(x)) * up(x))."""

    gate_proj: nn.Module
    up_proj: nn.Module
    gate_up_proj: nn.Module
    down_proj: nn.Module

    def __init__(self, shape: DecoderShape, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.activation = shape.activation
        self.fused = shape.fused
        for name in ("gate_up_proj",) if shape.fused else ("gate_proj", "up_proj"):
            setattr(self, name, parts[f"mlp.{name}"])
        self.down_proj = parts["mlp.down_proj"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated layer's output, (N, d)."""
        if self.fused:
            gate, up = self.gate_up_proj(x).chunk(2, 1)
        else:
            gate, up = self.gate_proj(x), self.up_proj(x)
        out: Tensor = self.down_proj(gated(gate, up, self.activation))
        return out


class Block(nn.Module):
    """A decoder layer. parts: its linears and norms by their name inside it."""

    input_layernorm: RmsNorm
    post_attention_layernorm: RmsNorm
    pre_feedforward_layernorm: RmsNorm
    post_feedforward_layernorm: RmsNorm

    def __init__(self, shape: DecoderShape, layer: int, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.gemma_norms = shape.gemma_norms
        self.self_attn = Attention(shape, layer, parts)
        self.mlp = GatedLayer(shape, parts)
        for name, part in parts.items():
            if "." not in name:  # the norms of the block itself
                setattr(self, name, part)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Return the residual stream after this layer: x (N, d) -> (N, d)."""
        out = self.self_attn(self.input_layernorm(x), rows)
        if self.gemma_norms:
            x = self.post_attention_layernorm.added_to(x, out)
            out = self.mlp(self.pre_feedforward_layernorm(x))
            return self.post_feedforward_layernorm.added_to(x, out)
        x = x + out
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added
