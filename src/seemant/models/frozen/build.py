"""Frozen matrices by kind, built from row blocks."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from seemant.core.errors import BadFile
from seemant.models.frozen import float_matrix, int4, int8, nf4
from seemant.models.frozen.matrix import FrozenMatrix
from seemant.models.frozen.size import KINDS, n_bytes_of, unknown

__all__ = ["KINDS", "frozen", "n_bytes_of"]


def frozen(
    kind: str, shape: tuple[int, int], pieces: Iterable[Tensor], *, name: str = ""
) -> FrozenMatrix:
    """Return a frozen matrix of row blocks, taken one at a time: it is never whole in floats.

    pieces: (any rows, columns) float tensors, in order; together they must make `shape`.
    name: the tensor's, for error texts.

    Raises:
        BadConfig: no such kind; NF4 without bitsandbytes, or of columns it cannot take.
        BadFile: weights that are not finite, or pieces that do not make `shape`.
    """
    checked = _checked(shape, pieces, name or "the matrix")
    match kind:
        case "float32" | "bfloat16":
            return float_matrix.FloatMatrix(kind, shape, checked)
        case "int8":
            return int8.Int8Matrix(shape, checked)
        case "int4":
            return int4.Int4Matrix(shape, checked)
        case "nf4":
            return nf4.Nf4Matrix(shape, checked)
    raise unknown(kind)


def _checked(shape: tuple[int, int], pieces: Iterable[Tensor], name: str) -> Iterator[Tensor]:
    n_rows, n_columns = shape
    seen = 0
    for piece in pieces:
        block = piece.detach().to(torch.float32)
        if block.ndim != 2 or block.shape[1] != n_columns or seen + len(block) > n_rows:
            raise BadFile(
                f"{name} should be {n_rows} x {n_columns}; after {seen} rows came a block of "
                f"{' x '.join(map(str, block.shape))}",
                fix="the file does not fit its own configuration: fetch it again",
            )
        if not bool(torch.isfinite(block).all()):
            raise BadFile(
                f"{name} holds weights that are not finite, in rows {seen} to {seen + len(block)}",
                fix="the weights are damaged: fetch the model again",
            )
        yield block
        seen += len(block)
    if seen != n_rows:
        raise BadFile(
            f"{name} should have {n_rows} rows; only {seen} came",
            fix="the file is cut short: fetch it again",
        )
