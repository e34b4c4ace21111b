"""The rotated model as a file: tensor by tensor, whole or not at all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seemant.compress.reference.which import REFERENCE_KEY, which
from seemant.compress.rotate.orthogonal import rotation
from seemant.compress.rotate.rotate import (
    EMBEDDING,
    HEAD,
    WRITERS,
    check_family,
    gain_of,
    rotate_tensor,
)
from seemant.compress.sound import check_sound
from seemant.formats.gguf_meta import MetaValue, typed
from seemant.formats.gguf_read import GgufFile
from seemant.formats.gguf_write import TensorData, write_gguf

SEED_KEY = "seemant.rotation_seed"
_TABLE, _HEAD = f"{EMBEDDING}.weight", f"{HEAD}.weight"
_SLICE_WEIGHTS = 1 << 20


def write_rotated(
    file: GgufFile, path: Path, seed: int, done: Callable[[str], None] = lambda name: None
) -> None:
    """Write the rotated model as F32 GGUF with a head of its own; `done(name)` tells each tensor.

    In memory are one slice of a table, or one matrix that writes into the stream.

    Raises:
        BadConfig: a family that cannot be rotated, with the reason.
        BadFile: tensors that do not fit the model, or are not finite; names them.
        DiskFull, NoPermission: nothing half-written is left.
    """
    check_family(str(file.metadata.get("general.architecture")))
    check_sound(file)  # a tensor that is not known here would stay unturned
    r = rotation(file.tensors[_TABLE].shape[1], seed)

    def stored(name: str) -> Callable[[], Iterator[NDArray[np.float32]]]:
        def pieces() -> Iterator[NDArray[np.float32]]:
            gain = gain_of(name)
            g = None if gain is None else torch.from_numpy(file.dequantize(gain))
            for values in _slices(file, name):
                yield rotate_tensor(name, torch.from_numpy(values), r, g).numpy()
            file.forget_pages()
            done(name)

        return pieces

    names = dict.fromkeys((*file.tensors, _HEAD))
    shapes = {name: file.tensors[_source(file, name)].shape for name in names}
    tensors = {name: TensorData("F32", shapes[name], stored(name)) for name in names}
    write_gguf(path, _metadata(file, seed), tensors)


def _source(file: GgufFile, name: str) -> str:
    """Return where a tensor's values stand: a tied model's head is its table."""
    return _TABLE if name == _HEAD and _HEAD not in file.tensors else name


def _slices(file: GgufFile, name: str) -> Iterator[NDArray[np.float32]]:
    source = _source(file, name)
    tensor = file.tensors[source]
    if len(tensor.shape) == 1 or name.split(".")[-2] in WRITERS:
        yield np.array(file.dequantize(source))
        return
    step = max(1, _SLICE_WEIGHTS // tensor.shape[1])
    for start in range(0, tensor.shape[0], step):
        yield np.array(file.rows(source, start, min(start + step, tensor.shape[0])))


def _metadata(file: GgufFile, seed: int) -> dict[str, MetaValue]:
    name = str(file.metadata.get("general.name", "model"))
    kind = which(file).kind
    added: dict[str, str | int] = {
        "general.name": f"{name} (rotated, seed {seed})",
        "general.file_type": 0,  # all F32
        "general.description": f"Modified from {name} by seemant: the residual stream was rotated; "
        "the function is the same.",
        SEED_KEY: seed,
    }
    if kind != "fp":  # turned weights do not show any more that they were rounded once
        added[REFERENCE_KEY] = kind
    return {**file.fields, **{key: typed(value) for key, value in added.items()}}
