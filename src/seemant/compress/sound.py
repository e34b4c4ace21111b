"""Whether a model can be worked on at all: it has its architecture's tensors, and all are numbers.

Asked once, before anything long begins and before anything is written: a NaN in a norm reaches
every hidden state, and would be blamed on whatever meets it first. Of a grid only the scales are
read, as codes are numbers always: 0.5 GB take well below a second.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.blocks import dequantize_rows
from seemant.formats.ggml_types import block_of
from seemant.formats.gguf_read import GgufFile, GgufTensor
from seemant.formats.packing import CONTAINERS

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SLICE_BYTES = 1 << 22
_HALVES = {  # where a block's fp16 numbers stand: whatever multiplies its codes
    "F16": (0,),
    **{name: (0,) if box.symmetric else (0, 2) for name, box in CONTAINERS.items()},
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
_ALL_ONES = 0x7C  # an fp16 exponent without one 0, in the upper byte: infinite, or no number


def check_sound(file: GgufFile, merged: Mapping[str, Array] | None = None) -> None:
    """Check that a model is whole and finite; merged: the tensors that an adapter changed.

    Raises:
        BadFile: tensors that its architecture lacks or does not know, or a weight that is no
            finite number; names them.
    """
    from seemant.models.decoder.gguf_weights import gguf_weights  # which takes torch with it

    gguf_weights(file)
    check_finite(file, merged)


def check_finite(file: GgufFile, merged: Mapping[str, Array] | None = None) -> None:
    """Check that every weight of a file, and of what an adapter made of it, is a finite number.

    Types that nothing here can read are passed over: who needs their values says so.

    Raises:
        BadFile: one is not; names the file, the tensor, and of a matrix the row.
    """
    for name, tensor in file.tensors.items():
        if (row := _first_bad(_rows(file, tensor), _finite_of(tensor.type_name))) is not None:
            with np.errstate(all="ignore"):
                values = file.rows(name, row, row + 1)
            where = f"{file.path}, {_place(tensor, row)}"
            raise _damaged(values, where, "the model is damaged: fetch or make it again")
    for name, w in (merged or {}).items():
        rows = w.reshape(-1, w.shape[-1])
        if (row := _first_bad(((0, rows),), np.isfinite)) is not None:
            where = f"{file.path} with the adapter merged, {_place(file.tensors[name], row)}"
            fix = "the adapter is damaged: fetch it again, or train it with a smaller learning rate"
            raise _damaged(rows[row], where, fix)


def _rows(file: GgufFile, tensor: GgufTensor) -> Iterator[tuple[int, Bytes]]:
    """Yield (first row, stored rows); what was read does not stay in memory."""
    raw = tensor.raw()
    step = max(1, _SLICE_BYTES // raw.shape[1])
    for start in range(0, len(raw), step):
        yield start, raw[start : start + step]
        file.forget_pages()


def _first_bad(
    slices: Iterator[tuple[int, Bytes]] | tuple[tuple[int, Array]],
    finite: Callable[..., NDArray[np.bool_]],
) -> int | None:
    for start, rows in slices:
        each = finite(rows)
        if not each.all():
            return start + int(np.flatnonzero(~each.reshape(len(rows), -1).all(1))[0])
    return None


def _finite_of(type_name: str) -> Callable[[Bytes], NDArray[np.bool_]]:
    """Return what tells of stored rows (rows, bytes) whether their numbers are finite: as many
    answers for each row.
    """
    if type_name == "F32":
        return lambda raw: np.isfinite(raw.view("<f4"))
    if type_name == "BF16":
        return lambda raw: (raw.view("<u2") & 0x7F80) != 0x7F80
    if type_name in _HALVES:
        return lambda raw: _finite_halves(raw, type_name)
    return lambda raw: _finite_values(raw, type_name)


def _finite_halves(raw: Bytes, type_name: str) -> NDArray[np.bool_]:
    blocks = raw.reshape(-1, block_of(type_name)[1])
    finite = np.ones(len(blocks), np.bool_)
    for at in _HALVES[type_name]:
        finite &= (blocks[:, at + 1] & _ALL_ONES) != _ALL_ONES
    return finite


def _finite_values(raw: Bytes, type_name: str) -> NDArray[np.bool_]:
    try:
        with np.errstate(all="ignore"):
            return np.isfinite(dequantize_rows(raw, type_name))
    except NotImplementedError:
        return np.ones((len(raw), 1), np.bool_)


def _place(tensor: GgufTensor, row: int) -> str:
    return f"tensor {tensor.name}" + (f", row {row}" if len(tensor.shape) > 1 else "")


def _damaged(values: Array, where: str, fix: str) -> BadFile:
    return BadFile(f"{values[~np.isfinite(values)][0]} among the weights", where=where, fix=fix)
