"""A dithered reference: the weights of a quantised file moved off its grid, evenly within a cell.

    w' = w + u * cell,   u ~ U(-1/2, 1/2),   cell: the stored step at that weight
    Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: |d|      Q2_K Q4_K Q5_K: |d sc|      Q3_K Q6_K: |d sc|

Weights that lie on a grid make methods look better (the same grid again costs nothing) or worse (a
nested one) than they are on any model that was never rounded. w' is continuous, and rounding it on
its own grid gives w back. It is another, worse model than w: it ranks methods, its own quality says
nothing, and it must never be shipped. The file says so: `seemant.reference = "dithered"`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.reference.which import DITHERED, FLOATS, REFERENCE_KEY, which
from seemant.core.errors import BadConfig, BadFile
from seemant.core.seeds import rng
from seemant.formats.gguf_meta import MetaValue, typed
from seemant.formats.gguf_read import GgufFile
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.kquants import LAYOUTS, unpack_k
from seemant.formats.packing import CONTAINERS, unpack

Array = NDArray[np.float32]

SEED_KEY = "seemant.dither_seed"
_INSIDE = np.float32(1 - 2**-12)  # of the cell: float32 sums at its very edge would leave it
_SLICE_WEIGHTS = 1 << 20


def write_dithered(
    file: GgufFile, path: Path, seed: int, done: Callable[[str], None] = lambda name: None
) -> float:
    """Write the dithered model as F32 GGUF, whole or not at all; return ||w' - w|| / ||w||.

    Only matrices stored on a grid change (the norm is over them). A tensor's noise depends on the
    seed and its name alone. `done(name)` is called as tensors are finished.

    Raises:
        BadConfig: the model is dithered already, or holds nothing on a grid.
        BadFile: a tensor's type has no step that is known here; names it.
        DiskFull, NoPermission: nothing half-written is left.
    """
    _check(file)
    sums = [0.0, 0.0]

    def stored(name: str) -> Callable[[], Iterator[Array]]:
        def pieces() -> Iterator[Array]:
            for w, moved in dithered_rows(file, name, seed):
                if moved is not w:
                    sums[0] += float(np.sum(np.square(moved - w), dtype=np.float64))
                    sums[1] += float(np.sum(np.square(w), dtype=np.float64))
                yield moved
            done(name)

        return pieces

    tensors = {name: TensorData("F32", t.shape, stored(name)) for name, t in file.tensors.items()}
    write_gguf(path, _metadata(file, seed), tensors)
    return float(np.sqrt(sums[0] / sums[1])) if sums[1] else 0.0


def dithered_rows(
    file: GgufFile, name: str, seed: int, *, slice_weights: int = _SLICE_WEIGHTS
) -> Iterator[tuple[Array, Array]]:
    """Yield (w, w') of a tensor's rows, slice by slice, (rows, columns) float32.

    A tensor in floating point is yielded as it is, w' being w itself.
    """
    tensor = file.tensors[name]
    columns = tensor.shape[-1]
    n_rows = tensor.n_weights // columns
    noise = rng(seed, "dither", name)
    step = max(1, slice_weights // columns)
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        w = file.rows(name, start, stop)
        if tensor.type_name in FLOATS:
            yield w, w
            continue
        cell = cells(tensor.raw()[start:stop], tensor.type_name)
        u = noise.random(w.shape, np.float32) - np.float32(0.5)
        u *= _INSIDE
        yield w, w + (u.reshape(*cell.shape[:2], -1) * cell).reshape(w.shape)


def cells(raw: NDArray[np.uint8], type_name: str) -> Array:
    """Return the step of stored rows: (rows, groups, 1) float32, not negative, one a group.

    Raises:
        BadFile: a type whose step is not known here.
    """
    if type_name in CONTAINERS:
        return np.abs(unpack(raw, type_name)[1].scale)
    if type_name.lower() in LAYOUTS:
        return np.abs(unpack_k(raw, type_name.lower())[1].scale)
    raise BadFile(f"the step of weights stored as {type_name} is not known here")


def _check(file: GgufFile) -> None:
    facts = which(file)
    if facts.kind == DITHERED:
        raise BadConfig(
            "this model is a dithered reference already, or was made from one",
            where=str(file.path),
            fix="start from the model that it was made from",
        )
    if all(tensor.type_name in FLOATS for tensor in file.tensors.values()):
        raise BadConfig(
            "nothing in this file is stored on a grid, so there is no step to dither by",
            where=str(file.path),
            fix="use the model itself as the reference"
            if facts.kind == "fp"
            else "start from the quantised file: these floats were expanded from one",
        )
    known = (*FLOATS, *CONTAINERS, *(name.upper() for name in LAYOUTS))
    for name, tensor in file.tensors.items():
        if tensor.type_name not in known:
            raise BadFile(
                f"the step of weights stored as {tensor.type_name} is not known here",
                where=f"{file.path}, tensor {name}",
                fix="start from a file of the types Q4_0 to Q8_0 or Q2_K to Q6_K",
            )


def _metadata(file: GgufFile, seed: int) -> dict[str, MetaValue]:
    name = str(file.metadata.get("general.name", "model"))
    added = {
        "general.name": f"{name} (dithered reference, seed {seed})",
        "general.file_type": 0,  # all F32
        "general.description": "Noise of one quantisation step was added to every weight: "
        "a reference to measure methods with, not a model to use.",
        REFERENCE_KEY: DITHERED,
        SEED_KEY: seed,
    }
    return {**file.fields, **{key: typed(value) for key, value in added.items()}}
