"""What is known of every tensor once it is rounded: its integers, its error, its bytes."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.core.records import Record
from seemant.formats.grids import Codes, Params
from seemant.formats.kquants import LAYOUTS, SUPER, KParams
from seemant.formats.tensor_format import stored_numbers


class IntegerHash:
    """A running SHA-256 over the integers chosen: every code, and all that a file keeps of scales.

    Slices may be of any size: codes and each kind of number go into hashes of their own. A scale
    counts once a group, however often a layout repeats it.
    """

    def __init__(self) -> None:
        self._codes = hashlib.sha256()
        self._numbers: list[Any] = []

    def add(self, codes: Codes, params: Params) -> None:
        """Take in the next rows, codes (rows, groups, group)."""
        wide = params.grid.bits > 8
        # Two's complement; one byte a code where one is enough.
        self._codes.update(np.ascontiguousarray(codes.astype("<i2" if wide else np.uint8)).data)
        for place, numbers in enumerate([] if wide else stored_numbers(params)):
            if place == len(self._numbers):
                self._numbers.append(hashlib.sha256())
            self._numbers[place].update(np.ascontiguousarray(numbers).data)

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        parts = [self._codes.digest(), *(each.digest() for each in self._numbers)]
        return hashlib.sha256(b"".join(parts)).hexdigest()


class TensorFacts(Record):
    """One tensor's account, closed.

    kind: "attn_q", "ffn_down", ... squared_error, squared_weight: Frobenius norms, squared, of what
    rounding changed and of the weights that were rounded. ideal_bits: of codes and scales alone.
    integers_sha256: of `IntegerHash`; of no integers where the tensor is kept.
    notes: what the method told of this matrix.
    """

    kind: str
    n_weights: int
    squared_error: float
    squared_weight: float
    ideal_bits: float
    integers_sha256: str
    notes: Mapping[str, float] = {}


@dataclass(slots=True)
class TensorAccount:
    """Sums over one tensor, filled slice by slice while it is rounded."""

    kind: str
    n_weights: int = 0
    squared_error: float = 0.0
    squared_weight: float = 0.0
    ideal_bits: float = 0.0
    integers: IntegerHash = field(default_factory=IntegerHash)
    notes: dict[str, float] = field(default_factory=dict)

    def add_rounded(
        self, w: NDArray[np.float32], rounded: NDArray[np.float32], codes: Codes, params: Params
    ) -> None:
        """Take in rows of a rounded matrix, their values before and after."""
        self.integers.add(codes, params)
        self.ideal_bits += _ideal_bits(codes, params)
        self._add(w, _squares(w - rounded))

    def add_kept(self, w: NDArray[np.float32]) -> None:
        """Take in rows that are kept as F32."""
        self.ideal_bits += 32 * w.size
        self._add(w, 0.0)

    def facts(self) -> TensorFacts:
        """Return the account, closed."""
        return TensorFacts(
            kind=self.kind,
            n_weights=self.n_weights,
            squared_error=self.squared_error,
            squared_weight=self.squared_weight,
            ideal_bits=self.ideal_bits,
            integers_sha256=self.integers.hexdigest(),
            notes=self.notes,
        )

    def _add(self, w: NDArray[np.float32], squared_error: float) -> None:
        self.n_weights += w.size
        self.squared_error += squared_error
        self.squared_weight += _squares(w)


def relative_error(facts: Iterable[TensorFacts]) -> float:
    """Return ||w - rounded|| / ||w||, Frobenius norms over all tensors given."""
    listed = list(facts)
    weight = sum(each.squared_weight for each in listed)
    return float(np.sqrt(sum(each.squared_error for each in listed) / weight)) if weight else 0.0


def ideal_bits_per_weight(facts: Iterable[TensorFacts]) -> float:
    """Return bits a weight of codes and scales alone, as if a layout of that width existed."""
    listed = list(facts)
    return sum(each.ideal_bits for each in listed) / sum(each.n_weights for each in listed)


def describe(facts: TensorFacts, **more: Any) -> dict[str, Any]:
    """Return a tensor's entry in variant.json."""
    told = {"notes": dict(facts.notes)} if facts.notes else {}
    return {
        "kind": facts.kind,
        **more,
        "relative_error": round(relative_error([facts]), 9),
        "integers_sha256": facts.integers_sha256,
        **told,
    }


def _ideal_bits(codes: Codes, params: Params) -> float:
    if isinstance(params, KParams):
        return codes.size * 8 * LAYOUTS[params.kind].n_bytes / SUPER
    scales = 0 if params.grid.bits > 8 else sum(n.nbytes for n in stored_numbers(params))
    return codes.size * params.grid.bits + 8 * scales


def _squares(x: NDArray[np.float32]) -> float:
    """Return the sum of squares in fp64; not by BLAS, whose sums depend on its threads."""
    return float(np.sum(np.square(x), dtype=np.float64))
