"""The weights that are compressed: the dequantised base file with the adapter merged in fp32."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.core.errors import BadFile
from seemant.formats.gguf_read import GgufFile
from seemant.formats.on_grid import detect
from seemant.formats.packing import BLOCK, CONTAINERS
from seemant.models.resolve import weights_in

Array = NDArray[np.float32]

_SLICE_WEIGHTS = 1 << 19  # 2 MB of float32: the work on a slice stays in the cache
_FLOATS = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A base file and the tensors that an adapter changed (merged, GGUF layout, float32)."""

    file: GgufFile
    merged: Mapping[str, Array]
    _layouts: dict[str, str] = field(default_factory=dict, repr=False)

    def slices(self, name: str) -> Iterator[Array]:
        """Yield a tensor's rows from first to last, float32 (rows, columns) a slice."""
        tensor = self.file.tensors[name]
        columns = tensor.shape[-1]
        n_rows = tensor.n_weights // columns
        step = max(1, _SLICE_WEIGHTS // columns)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            if name in self.merged:
                yield self.merged[name].reshape(n_rows, columns)[start:stop]
            else:
                yield self.file.rows(name, start, stop)

    def layout(self, name: str) -> str:
        """Return the grid on which a tensor of the base lies: its stored type, or for a float
        tensor the one that its values show; "F32" when they show none.
        """
        if name not in self._layouts:  # kept: to look at floats takes as long as to round them
            self._layouts[name] = self._layout(name)
        return self._layouts[name]

    def slices_of_base(self, name: str) -> Iterator[Array]:
        """Yield the base's rows, without the adapter."""
        return Source(self.file, {}).slices(name)

    def lies_on(self, name: str, container: str | None, block: int | None) -> bool:
        """Return whether rounding to this layout meets the base's own grid again.

        A merged adapter does not cure it: its change is far below a step of the grid.
        """
        if container not in CONTAINERS:
            return container is not None and self.layout(name) == container
        return block == BLOCK and self.layout(name) == container

    def _layout(self, name: str) -> str:
        stored = self.file.tensors[name].type_name
        if stored not in _FLOATS:
            return stored
        columns = self.file.tensors[name].shape[-1]
        if len(self.file.tensors[name].shape) != 2 or columns % 32:
            return stored
        return detect(next(self.slices_of_base(name))) or stored


def open_source(file: GgufFile, adapter: Path | None) -> Source:
    """Return the weights of a base file, with the adapter of a train artefact merged.

    Raises:
        BadFile: the adapter is damaged, or belongs to another base.
    """
    if adapter is None:
        return Source(file, {})
    from seemant.models.adapters import merged

    return Source(file, merged(file, adapter))


def gguf_of(model: Path, room: str) -> Path:
    """Return the GGUF file of a model's path (a file, or an artefact's folder that holds one).

    Raises:
        BadFile: it is an HF folder, or a variant that no file holds; `room` names who cannot read
            it.
    """
    path = weights_in(model)
    if not path.is_dir():
        return path
    if (path / "codes.safetensors").is_file():
        raise BadFile(
            f"{room} reads GGUF files, and no file holds this variant's grid",
            where=str(path),
            fix="name the model that it was made from: a variant's codes are not compressed again",
        )
    raise BadFile(f"{room} reads GGUF files, this is a folder", where=str(path), fix=_made_of(path))


def _made_of(folder: Path) -> str:
    """Return how a folder becomes a file."""
    if (folder / "config.json").is_file():
        return f"seemant convert path:{folder}, and name the artefact that it makes"
    return "name a .gguf file"


def gathered(slices: Iterable[NDArray[np.float32]], rows: int) -> Iterator[NDArray[np.float32]]:
    """Yield a tensor's slices joined to `rows` rows or more: some work is paid once a slice."""
    waiting: list[NDArray[np.float32]] = []
    for piece in slices:
        waiting.append(piece)
        if sum(map(len, waiting)) >= rows:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
