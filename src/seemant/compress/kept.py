"""Rounded tensors kept on disk while a calibrated run goes on, so that a killed one goes on too.

In a hidden folder: `NAME.rows` (what a GGUF file stores) or `NAME.codes` (codes that no file
holds), and `NAME.json`, the account, written last: what has one is whole. Tensors that are not here
come from the rounding that needs no data.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import TensorAccount, TensorFacts
from seemant.compress.methods.quantised import Quantised
from seemant.compress.plan import TensorPlan
from seemant.compress.rounding import Rounding, Rows
from seemant.core.atomic import atomic_path, write_atomic
from seemant.formats.codes import iterate_codes, save_codes
from seemant.formats.ggml_types import row_bytes
from seemant.formats.grids import Params
from seemant.formats.tensor_format import pack_format, unpack_format, value_format

_SLICE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class KeptRounding:
    """A rounding whose calibrated tensors lie in `folder`; `rest` rounds the others.

    shapes: (rows, columns) of the tensors, by name.
    """

    plan: Mapping[str, TensorPlan]
    folder: Path
    shapes: Mapping[str, tuple[int, ...]]
    rest: Rounding

    def drop(self) -> None:
        """Remove what is kept: the variant's file holds it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def has(self, name: str) -> bool:
        """Return whether a tensor is kept, whole."""
        return self._file(name, "json").is_file()

    def add(
        self,
        name: str,
        pieces: Iterable[tuple[NDArray[np.float32], Quantised]],
        notes: Mapping[str, float],
    ) -> None:
        """Keep a rounded matrix: (what was rounded, its integers) for rows from first to last."""
        format = self.plan[name].format
        assert format is not None
        account = TensorAccount(self.plan[name].kind)
        self.folder.mkdir(exist_ok=True)
        if format.container is None:
            ((w, found),) = pieces  # only blocks' matrices have such formats: they come whole
            account.add_rounded(w, value_format(*found), *found)
            save_codes(self._file(name, "codes"), {name: (found.codes, found.params)}, {})
        else:
            with atomic_path(self._file(name, "rows")) as path, path.open("wb") as file:
                for w, found in pieces:
                    account.add_rounded(w, value_format(*found), *found)
                    file.write(np.ascontiguousarray(pack_format(*found, format)).data)
        account.notes = dict(notes)
        self._close(name, account)

    def add_float(self, name: str, values: NDArray[np.float32]) -> None:
        """Keep a tensor of floats that was changed (a norm's gain, a bias)."""
        account = TensorAccount(self.plan[name].kind)
        account.add_kept(values)
        self.folder.mkdir(exist_ok=True)
        write_atomic(self._file(name, "rows"), values.astype("<f4").tobytes())
        self._close(name, account)

    def values(self, name: str) -> NDArray[np.float32]:
        """Return a kept tensor's values, in its own shape."""
        if self.plan[name].format is None:
            found = np.fromfile(self._file(name, "rows"), "<f4").reshape(self.shapes[name])
            return np.asarray(found, np.float32)
        return value_format(*self.quantised(name))

    def rows(self, name: str) -> Iterator[Rows]:
        """Yield the stored rows of a tensor."""
        if not self.has(name):
            yield from self.rest.rows(name)
            return
        wide = row_bytes(self.plan[name].container or "F32", self.shapes[name][-1])
        with self._file(name, "rows").open("rb") as file:
            while piece := file.read(max(1, _SLICE_BYTES // wide) * wide):
                yield np.frombuffer(piece, np.uint8).reshape(-1, wide)

    def quantised(self, name: str) -> Quantised:
        """Return a tensor's integers and grids."""
        format = self.plan[name].format
        assert format is not None
        if not self.has(name):
            return self.rest.quantised(name)
        if format.container is None:
            ((_, (codes, params)),) = iterate_codes(self._file(name, "codes"))
            assert isinstance(params, Params)
            assert not isinstance(codes, str)
            return Quantised(codes, params)
        raw = np.fromfile(self._file(name, "rows"), np.uint8)
        wide = row_bytes(format.container, self.shapes[name][-1])
        return Quantised(*unpack_format(raw.reshape(-1, wide), format))

    def facts(self, name: str) -> TensorFacts:
        """Return a tensor's account."""
        if not self.has(name):
            return self.rest.facts(name)
        return TensorFacts.model_validate_json(self._file(name, "json").read_text("utf-8"))

    def _file(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}.{kind}"

    def _close(self, name: str, account: TensorAccount) -> None:
        write_atomic(self._file(name, "json"), account.facts().model_dump_json())
