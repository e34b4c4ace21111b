"""Which kind of reference a model file is, since numbers against different kinds never mix.

"dequantised file"  most weights lie on a coarse grid: rounding to it costs nothing, to a nested one
                    too much; what users ship, and honest only as "against this file"
"dithered"          moved off such a grid by noise: ranks methods, is never shipped
"fp"                weights that were never rounded to few bits
"""

from dataclasses import dataclass
from typing import Literal, get_args

from seemant.core.errors import BadConfig
from seemant.formats.gguf_read import GgufFile
from seemant.formats.on_grid import ON_GRID, detect
from seemant.formats.packing import BLOCK

Kind = Literal["dequantised file", "dithered", "fp"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DITHERED: Literal["dithered"] = "dithered"

REFERENCE_KEY = "seemant.reference"
FLOATS = ("F32", "F16", "BF16", "F64")
_ROWS = 256  # of a matrix are looked at: thousands of groups


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """kind: see above. on_grid: the share of all matrices' weights that lies on a grid.

    layouts: that share by layout ("Q5_0", "Q4_K", ...), the largest first.
    """

    kind: Kind
    on_grid: float
    layouts: dict[str, float]


def which(file: GgufFile) -> ReferenceFacts:
    """Return what kind of reference a model file is.

    A matrix counts as on a grid when it is stored on one, or when its floats show one (`on_grid`:
    the 32-weight layouts; rows that are no multiple of 32 cannot be judged and count as off).
    """
    weights: dict[str, int] = {}
    total = 0
    for name, tensor in file.tensors.items():
        if len(tensor.shape) == 2:
            total += tensor.n_weights
            if layout := _layout(file, name):
                weights[layout] = weights.get(layout, 0) + tensor.n_weights
    shares = {name: weights[name] / total for name in sorted(weights, key=lambda n: -weights[n])}
    on_grid = sum(weights.values()) / total if total else 0.0
    marked = file.metadata.get(REFERENCE_KEY)  # of a dithered file, or one rotated off its grid
    for kind in KINDS:
        if marked == kind:
            return ReferenceFacts(kind, on_grid, shares)
    return ReferenceFacts("dequantised file" if on_grid > ON_GRID else "fp", on_grid, shares)


def is_dithered(file: GgufFile) -> bool:
    """Return whether a file is a dithered reference, or was made from one (the mark stays)."""
    return file.metadata.get(REFERENCE_KEY) == DITHERED


def refuse_dithered(file: GgufFile) -> None:
    """Refuse to export what is, or was made from, a dithered reference.

    Raises:
        BadConfig: it is.
    """
    if is_dithered(file):
        raise BadConfig(
            "this model has noise of a quantisation step in its weights: it was made to measure "
            "methods with, not to be used",
            where=str(file.path),
            fix="compress the original model with the same settings and export that",
        )


def _layout(file: GgufFile, name: str) -> str | None:
    tensor = file.tensors[name]
    if tensor.type_name not in FLOATS:
        return tensor.type_name
    if tensor.shape[1] % BLOCK:
        return None
    return detect(file.rows(name, 0, min(_ROWS, tensor.shape[0])))
