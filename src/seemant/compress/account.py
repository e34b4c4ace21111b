"""What is known of every tensor once it is rounded: its integers, its error, its bytes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seemant.formats.grids import Codes, Params


class IntegerHash:
    """A running SHA-256 over the integers chosen: every code, and every scale's fp16 bits.

    Slices may be of any size: codes and scales go into hashes of their own. A scale counts once a
    group, however often a layout repeats it.
    """

    def __init__(self) -> None:
        self._codes, self._scales = hashlib.sha256(), hashlib.sha256()

    def add(self, codes: Codes, params: Params) -> None:
        """Take in the next rows, codes (rows, groups, group)."""
        self._codes.update(codes.astype(np.uint8).data)  # two's complement, one byte a code
        parts = [params.scale] + ([] if params.offset is None else [params.offset])
        both = np.concatenate([p.astype("<f2") for p in parts], axis=-1)
        self._scales.update(np.ascontiguousarray(both).data)

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        return hashlib.sha256(self._codes.digest() + self._scales.digest()).hexdigest()


@dataclass(slots=True)
class TensorAccount:
    """Sums over one tensor, filled slice by slice while it is written."""

    kind: str
    n_weights: int = 0
    squared_error: float = 0.0
    squared_weight: float = 0.0
    ideal_bits: float = 0.0
    integers: IntegerHash = field(default_factory=IntegerHash)

    def add_rounded(
        self, w: NDArray[np.float32], rounded: NDArray[np.float32], codes: Codes, params: Params
    ) -> None:
        """Take in rows of a rounded matrix, their values before and after."""
        self.integers.add(codes, params)
        n_numbers = 1 if params.offset is None else 2
        self.ideal_bits += codes.size * params.grid.bits + params.scale.size * 16 * n_numbers
        self._add(w, _squares(w - rounded))

    def add_kept(self, w: NDArray[np.float32]) -> None:
        """Take in rows that are kept as F32."""
        self.ideal_bits += 32 * w.size
        self._add(w, 0.0)

    def _add(self, w: NDArray[np.float32], squared_error: float) -> None:
        self.n_weights += w.size
        self.squared_error += squared_error
        self.squared_weight += _squares(w)


def relative_error(accounts: Iterable[TensorAccount]) -> float:
    """Return ||w - rounded|| / ||w||, Frobenius norms over all tensors given."""
    listed = list(accounts)
    weight = sum(a.squared_weight for a in listed)
    return float(np.sqrt(sum(a.squared_error for a in listed) / weight)) if weight else 0.0


def ideal_bits_per_weight(accounts: Iterable[TensorAccount]) -> float:
    """Return bits a weight of codes and scales alone, as if a layout of that width existed."""
    listed = list(accounts)
    return sum(a.ideal_bits for a in listed) / sum(a.n_weights for a in listed)


def describe(account: TensorAccount, **facts: Any) -> dict[str, Any]:
    """Return a tensor's entry in variant.json."""
    return {
        "kind": account.kind,
        **facts,
        "relative_error": round(relative_error([account]), 9),
        "integers_sha256": account.integers.hexdigest(),
    }


def _squares(x: NDArray[np.float32]) -> float:
    """Return the sum of squares in fp64; not by BLAS, whose sums depend on its threads."""
    return float(np.sum(np.square(x), dtype=np.float64))
