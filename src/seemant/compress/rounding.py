"""Where a variant's integers come from: chosen while the file is written, or given.

Whatever the source, a writer asks for a tensor's stored rows, then for its closed account.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import TensorAccount, TensorFacts
from seemant.compress.config import CompressConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import method_of
from seemant.compress.plan import EMBEDDING, OUTER, TensorPlan
from seemant.compress.source import Source
from seemant.formats.tensor_format import joined, pack_format, rows_of, value_format

Rows = NDArray[np.generic]


class Rounding(Protocol):
    """The rounded tensors of one variant, by GGUF name."""

    @property
    def plan(self) -> Mapping[str, TensorPlan]:
        """What becomes of each tensor, in the file's order."""

    def rows(self, name: str) -> Iterator[Rows]:
        """Yield what a GGUF file stores, a few rows at a time: packed bytes, or F32 if kept."""

    def quantised(self, name: str) -> Quantised:
        """Return a rounded tensor's integers and grids, whole."""

    def facts(self, name: str) -> TensorFacts:
        """Return a tensor's account, once its rows were taken."""

    def drop(self) -> None:
        """Remove what was kept on disk, once the variant is written."""


@dataclass(slots=True)
class SlicewiseRounding:
    """Methods that need the weights alone: slices are rounded as the file is written.

    At no time is more than a slice in memory beside the merged adapter.
    """

    source: Source
    plan: Mapping[str, TensorPlan]
    config: CompressConfig
    _accounts: dict[str, TensorAccount] = field(default_factory=dict)

    def rows(self, name: str) -> Iterator[Rows]:
        """Yield the stored rows of a tensor."""
        fate = self.plan[name]
        if fate.format is None:
            account = self._open(name)
            for w in _passing(self.source, name):
                account.add_kept(w)
                yield w.astype("<f4")
            return
        for found in self._pieces(name):
            yield pack_format(found.codes, found.params, fate.format)

    def quantised(self, name: str) -> Quantised:
        """Return a rounded tensor whole; codes in one byte each where they fit."""
        pieces = list(self._pieces(name))
        if len(pieces) == 1:
            return pieces[0]
        codes = np.concatenate([piece.codes for piece in pieces])
        return Quantised(codes, joined([piece.params for piece in pieces], 0))

    def facts(self, name: str) -> TensorFacts:
        """Return a tensor's account."""
        return self._accounts[name].facts()

    def drop(self) -> None:
        """Nothing is kept."""

    def _open(self, name: str) -> TensorAccount:
        self._accounts[name] = TensorAccount(self.plan[name].kind)
        return self._accounts[name]

    def _pieces(self, name: str) -> Iterator[Quantised]:
        account, fate = self._open(name), self.plan[name]
        assert fate.format is not None
        outer = name in OUTER
        method = method_of(self.config.outer_method if outer else self.config.method)
        fit = self.config.outer_fit if outer else self.config.fit
        if method.needs != "weights":
            # An untied table, of which calibration knows nothing; all else is never rounded here.
            assert name == EMBEDDING, f"{name} was not calibrated"
            method, fit = method_of("rtn"), "minmax"
            account.notes["rtn"] = 1.0
        slices = _passing(self.source, name)
        # Only rounding to nearest is known to be the same row by row.
        base = self.source.slices_of_base(name) if name in self.source.merged else repeat(None)
        at = 0
        for w in slices if method.name == "rtn" else [np.concatenate(list(slices))]:
            before = next(base) if method.name == "rtn" else None
            matrix = Matrix(name, w, fate.format, fit, first_row=at, base=before)
            at += len(w)
            found = method.run(matrix, self.config.method_config)
            account.add_rounded(w, value_format(*found), *found)
            account.notes.update(matrix.notes)
            yield found


@dataclass(slots=True)
class GivenRounding:
    """Integers that were chosen elsewhere (QAT), and values of kept tensors that were changed."""

    source: Source
    plan: Mapping[str, TensorPlan]
    given: Mapping[str, Quantised]
    kept: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    _accounts: dict[str, TensorAccount] = field(default_factory=dict)

    def rows(self, name: str) -> Iterator[Rows]:
        """Yield the stored rows of a tensor."""
        account = self._accounts[name] = TensorAccount(self.plan[name].kind)
        format = self.plan[name].format
        if format is None:
            for w in [self.kept[name]] if name in self.kept else _passing(self.source, name):
                account.add_kept(w)
                yield w.astype("<f4")
            return
        for codes, params in self._pieces(name, account):
            yield pack_format(codes, params, format)

    def quantised(self, name: str) -> Quantised:
        """Return what was given."""
        account = self._accounts[name] = TensorAccount(self.plan[name].kind)
        for _ in self._pieces(name, account):
            pass
        return self.given[name]

    def facts(self, name: str) -> TensorFacts:
        """Return a tensor's account."""
        return self._accounts[name].facts()

    def drop(self) -> None:
        """Nothing is kept."""

    def _pieces(self, name: str, account: TensorAccount) -> Iterator[Quantised]:
        codes, params = self.given[name]
        at = 0
        for w in _passing(self.source, name):
            rows = slice(at, at + len(w))
            piece = Quantised(codes[rows], rows_of(params, rows))
            account.add_rounded(w, value_format(*piece), *piece)
            yield piece
            at += len(w)


def _passing(source: Source, name: str) -> Iterator[NDArray[np.float32]]:
    """Yield a tensor's slices; what was read of the file does not stay in memory."""
    for w in source.slices(name):
        yield w
        source.file.forget_pages()
