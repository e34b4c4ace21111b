"""Where a block's channels may be scaled, by family: a table, in GGUF's names.

At a site the columns of the `readers` are multiplied by s, and the `source`, which makes the
readers' input, is divided by it. The source is a norm's gain or the rows of a matrix. A norm that
stands *after* a matrix (Gemma's `post_attention_norm`, `post_ffw_norm`) feeds the residual stream
and no reader, so it is never a source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seemant.core.errors import BadConfig, nearest

Part = Literal["attention", "mlp"]


@dataclass(frozen=True, slots=True)
class Site:
    """One place to scale.

    name: of the readers' common input: "attn_in", "attn_out", "mlp_in", "mlp_mid".
    source: the norm, or the matrix, whose output is divided by s; a matrix's bias is, too.
    readers: the matrices whose columns are multiplied by s.
    measured: the part of the block whose output decides, the smallest that holds the
        nonlinearity; None: the readers' own outputs, nothing nonlinear follows them there.
    by_head: the source is v and the readers' input lies by query head: s has one value a channel
        of a key head, and the query heads that share it get the same.
    """

    name: str
    source: str
    readers: tuple[str, ...]
    measured: Part | None
    by_head: bool = False

    @property
    def scales_norm(self) -> bool:
        """Whether the source is a norm's gain."""
        return self.source.endswith("_norm")


_QKV = Site("attn_in", "attn_norm", ("attn_q", "attn_k", "attn_v"), "attention")
_O = Site("attn_out", "attn_v", ("attn_output",), None, by_head=True)
_GATE_UP = Site("mlp_in", "ffn_norm", ("ffn_gate", "ffn_up"), "mlp")
_DOWN = Site("mlp_mid", "ffn_up", ("ffn_down",), None)

# Gemma's `ffn_norm` is transformers' pre_feedforward_layernorm. The norms after o and down take
# the length out of their outputs, so errors are measured behind them.
_GEMMA_O = Site("attn_out", "attn_v", ("attn_output",), "attention", by_head=True)
_GEMMA_DOWN = Site("mlp_mid", "ffn_up", ("ffn_down",), "mlp")

SITES: Mapping[str, tuple[Site, ...]] = {
    "llama": (_QKV, _O, _GATE_UP, _DOWN),
    "qwen2": (_QKV, _O, _GATE_UP, _DOWN),  # q, k and v have biases: only v's moves, with v's rows
    "qwen3": (_QKV, _O, _GATE_UP, _DOWN),  # q and k norms see the same q and k: nothing moves
    "smollm3": (_QKV, _O, _GATE_UP, _DOWN),
    "gemma3": (_QKV, _GEMMA_O, _GATE_UP, _GEMMA_DOWN),
}


def sites_of(family: str) -> tuple[Site, ...]:
    """Return a family's sites, in the order in which a block uses them.

    Raises:
        BadConfig: a family that the table does not know.
    """
    if family not in SITES:
        raise BadConfig(
            f"AWQ has no table of sites for the architecture {family!r}",
            fix=nearest(family, SITES),
        )
    return SITES[family]
