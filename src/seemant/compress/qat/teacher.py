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
from seemant.core.errors import from_os_error
from seemant.core.hashing import json_sha256
from seemant.models.decoder.decoder import Decoder
from seemant.models.frozen.matrix import FrozenMatrix

FOLDER = ".teacher"


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """states: (S, T, d) float32, mapped; head (V, d); softcap of its logits."""

    states: np.ndarray
    head: FrozenMatrix | Tensor
    softcap: float | None

    def hidden(self, indices: Sequence[int]) -> Tensor:
        """Return the final-norm states of some sequences, (len · T, d) float32."""
        return torch.from_numpy(np.concatenate([self.states[i] for i in indices]))


@torch.no_grad()
def teacher_of(
    decoder: Decoder,
    sequences: Sequence[Sequence[int]],
    out: Path,
    belongs: object,
    tick: Callable[..., None] = lambda *_, **__: None,
) -> Teacher:
    """Return the teacher of these sequences, all of one length; its states go into `out`.

    belongs: what the states depend on besides the ids (model, compute type): states of another
    question are not used again.

    Raises:
        WorldError: the disk is full or refuses; nothing half-written is found later.
    """
    name = json_sha256([[list(each) for each in sequences], belongs])[:16]
    path = out / FOLDER / f"{name}.npy"
    try:
        if not path.is_file():
            _write(decoder, sequences, path, tick)
        states = np.load(path, mmap_mode="r")
    except OSError as error:
        raise from_os_error(error) from error
    return Teacher(states, decoder.head_weight, decoder.shape.softcap)


def _write(
    decoder: Decoder, sequences: Sequence[Sequence[int]], path: Path, tick: Callable[..., None]
) -> None:
    shape = (len(sequences), len(sequences[0]), decoder.shape.d)
    with atomic_path(path) as temporary:
        states = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=np.float32, shape=shape, version=(1, 0)
        )
        for index, ids in enumerate(sequences):
            h = decoder(torch.tensor(list(ids)), [len(ids)])
            states[index] = h.float().numpy()
            tick()
        states.flush()
        del states
