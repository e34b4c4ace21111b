"""The teacher: the reference's hidden states, computed once for each sequence, and its head.

p = softmax(h Wᵀ) is made where the loss needs it, a block of the vocabulary at a time: one state
is d numbers where one row of logits is V. The states lie in a file that is mapped, so a resumed
run finds them, and the reference's body is gone before the student's moments come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seemant.core.atomic import atomic_path
from seemant.core.hashing import json_sha256
from seemant.core.os_errors import from_os_error
from seemant.models.decoder.decoder import Decoder
from seemant.models.frozen.matrix import FrozenMatrix

FOLDER = ".teacher"


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """states: (S, T, d) float32, mapped, of different sequences; places: which of them belongs to
    each sequence that was given; head (V, d); softcap of its logits.
    """

    states: np.ndarray
    places: Sequence[int]
    head: FrozenMatrix | Tensor
    softcap: float | None

    def hidden(self, indices: Sequence[int]) -> Tensor:
        """Return the final-norm states of some sequences, (len · T, d) float32."""
        return torch.from_numpy(np.concatenate([self.states[self.places[i]] for i in indices]))


@torch.no_grad()
def teacher_of(
    decoder: Decoder,
    sequences: Sequence[Sequence[int]],
    out: Path,
    belongs: object,
    tick: Callable[..., None] = lambda *_, **__: None,
) -> Teacher:
    """Return the teacher of these sequences, all of one length; its states go into `out`.

    A sequence that comes again is computed once.

    belongs: what the states depend on besides the ids (model, compute type): states of another
    question are not used again.

    Raises:
        WorldError: the disk is full or refuses; nothing half-written is found later.
    """
    place = {ids: at for at, ids in enumerate(dict.fromkeys(map(tuple, sequences)))}
    name = json_sha256([[list(ids) for ids in place], belongs])[:16]
    path = out / FOLDER / f"{name}.npy"
    try:
        if not path.is_file():
            _write(decoder, list(place), path, tick)
        states = np.load(path, mmap_mode="r")
    except OSError as error:
        raise from_os_error(error, path) from error
    return Teacher(
        states,
        [place[tuple(ids)] for ids in sequences],
        decoder.head_weight,
        decoder.shape.softcap,
    )


def _write(
    decoder: Decoder, sequences: Sequence[Sequence[int]], path: Path, tick: Callable[..., None]
) -> None:
    # Written and not mapped: a full disk is an error in a write, and a killing signal in a map.
    shape = (len(sequences), len(sequences[0]), decoder.shape.d)
    facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, facts)
        for ids in sequences:
            h = decoder(torch.tensor(list(ids)), [len(ids)])
            file.write(h.float().contiguous().numpy().data)
            tick()
