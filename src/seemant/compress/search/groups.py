"""Which tensors are chosen together, and what each of them may become.

A table of damages needs one measurement a group and format. 127 matrices by 8 formats are a
thousand; matrices of one kind and one width in a band of neighbouring layers behave alike, and
4 kinds by 3 bands with the embedding are 13 groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seemant.core.errors import BadConfig
from seemant.formats.ggml_types import row_bytes
from seemant.formats.gguf_read import GgufFile
from seemant.formats.tensor_format import Format, format_of

EMBEDDING, HEAD = "token_embd", "output"
KINDS: Mapping[str, tuple[str, ...]] = {
    "attn_in": ("attn_q", "attn_k", "attn_v", "attn_qkv"),
    "attn_out": ("attn_output",),
    "mlp_in": ("ffn_gate", "ffn_up"),
    "mlp_mid": ("ffn_down",),
}
MENU = ("f16", "q8_0", "q6_k", "q5_1", "q5_0", "q4_1", "q4_k", "q4_0", "q3_k")
"""Formats that a file can hold at their own size; 3 bits in a 4-bit layout would save nothing."""
_ALIGNMENT = 32  # bytes: what a tensor's place in the file is rounded up to


@dataclass(frozen=True, slots=True)
class Group:
    """Tensors that get one format. shapes: GGUF name -> (rows, columns)."""

    name: str
    shapes: Mapping[str, tuple[int, int]]

    @property
    def tensors(self) -> tuple[str, ...]:
        """The GGUF names."""
        return tuple(self.shapes)

    @property
    def n_weights(self) -> int:
        """How many weights they have together."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    def n_bytes(self, format: Format) -> int:
        """Return the bytes that they take in a file in this format, alignment included."""
        if format.container is None:
            raise BadConfig(f"no file can hold {format.name}", fix=f"one of: {', '.join(MENU)}")
        return sum(
            -(-rows * row_bytes(format.container, columns) // _ALIGNMENT) * _ALIGNMENT
            for rows, columns in self.shapes.values()
        )

    def menu(self, names: Sequence[str] = MENU) -> tuple[Format, ...]:
        """Return those formats that divide every row and are stored at their own size.

        Raises:
            BadConfig: a name that is no format, or none is left.
        """
        widths = {columns for _, columns in self.shapes.values()}
        formats = [format_of(name) for name in names]
        fitting = tuple(
            each
            for each in formats
            if not each.simulated and not any(width % (each.block or 1) for width in widths)
        )
        if not fitting:
            raise BadConfig(
                f"none of {', '.join(names)} fits rows of {sorted(widths)} weights in a file",
                where=f"group {self.name}",
                fix="add q8_0 or f16 to the menu",
            )
        return fitting


def groups_of(file: GgufFile, *, bands: int = 3) -> list[Group]:
    """Return the groups of a model's matrices: embedding, own head, kinds by bands of layers.

    bands: how many runs of neighbouring layers are told apart, at most one a layer.

    Raises:
        BadConfig: fewer than one band.
    """
    if bands < 1:
        raise BadConfig(f"{bands} bands of layers", where="bands", fix="give 1 or more")
    shapes = {n: t.shape for n, t in file.tensors.items() if len(t.shape) == 2}
    found: dict[str, dict[str, tuple[int, int]]] = {}
    layers = 1 + max((int(n.split(".")[1]) for n in shapes if n.startswith("blk.")), default=-1)
    bands = min(bands, layers)
    kinds = {part: kind for kind, parts in KINDS.items() for part in parts}
    for name, (rows, columns) in shapes.items():
        part = name.split(".")[-2]
        if part in (EMBEDDING, HEAD):
            found[part] = {name: (rows, columns)}
        elif name.startswith("blk.") and part in kinds:
            band = int(name.split(".")[1]) * bands // layers
            found.setdefault(f"{kinds[part]}/{_span(band, bands, layers)}", {})[name] = (
                rows,
                columns,
            )
    return [Group(name, found[name]) for name in found]


def fixed_bytes(file: GgufFile, groups: Sequence[Group]) -> int:
    """Return the bytes of a file that no choice changes: header, and all other tensors as F32."""
    chosen = {name for group in groups for name in group.tensors}
    header = file.path.stat().st_size - sum(t.n_bytes for t in file.tensors.values())
    rest = [t.n_weights for name, t in file.tensors.items() if name not in chosen]
    return header + sum(-(-4 * n // _ALIGNMENT) * _ALIGNMENT for n in rest)


def _span(band: int, bands: int, layers: int) -> str:
    inside = [layer for layer in range(layers) if layer * bands // layers == band]
    return f"{inside[0]}-{inside[-1]}" if len(inside) > 1 else str(inside[0])
