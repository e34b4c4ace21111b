"""The cells of a damage map: what is exchanged, and what a line of the map says.

Nothing here imports torch, so that a report can read the map.
"""

from dataclasses import dataclass
from typing import Literal

from seemant.core.records import Lang, Record

How = Literal["all", "insert", "remove", "noise", "permuted"]
LAYER, ALL, EMBEDDING, OUTPUT = "layer", "all", "token_embd", "output"
KINDS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One intervention. layer: None for all layers at once, and outside the blocks.

    site: "layer" (a whole block), a kind of matrix ("attn_q", ...), "token_embd" (the table, with
    the head where they are tied), "output" (last norm and head), "all" (everything).
    """

    layer: int | None
    site: str
    how: How

    @property
    def key(self) -> str:
        """The cell's name in a journal."""
        return f"{'-' if self.layer is None else self.layer}/{self.site}/{self.how}"


ALPHA = 0.05  # the false discovery rate of "differs from the median layer"


class Damage(Record):
    """One line of `damage.jsonl`: what one intervention costs in one language.

    layer, site, how: of `Cell`. kld, low, high: nats a token; for "remove" what
    restoring gives back. per_byte, per_byte_low, per_byte_high: nats a byte of text, by which
    languages may be compared, as tokens carry different amounts. q: of "differs from the median
    layer", adjusted for all layers and languages of one `how` and site (Benjamini-Hochberg); None
    for cells of no single layer.
    """

    layer: int | None
    site: str
    how: How
    lang: Lang
    kld: float
    low: float | None
    high: float | None
    per_byte: float
    per_byte_low: float | None
    per_byte_high: float | None
    method: str
    n: int
    n_bytes: int
    n_chunks: int
    q: float | None = None
