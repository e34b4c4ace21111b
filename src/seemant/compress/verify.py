"""Verification: the written file is opened again, and it holds what was chosen, floats included."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import IntegerHash, TensorFacts
from seemant.compress.plan import TensorPlan
from seemant.core.errors import BadFile
from seemant.formats.codes import iterate_codes
from seemant.formats.gguf_read import open_gguf
from seemant.formats.grids import Params
from seemant.formats.tensor_format import Format, unpack_format

_SLICE_BYTES = 1 << 19
_SUMS_AGREE = 1e-9  # sums of the same float64 numbers, in another order


class VariantMismatch(RuntimeError):
    """A file holds something else than was chosen: a mistake of ours, never of the user."""


def verify_model(
    path: Path, plan: Mapping[str, TensorPlan], facts: Mapping[str, TensorFacts]
) -> None:
    """Check a written GGUF file, tensor by tensor; facts: as `write_model` returns them.

    Raises:
        VariantMismatch: names the first tensor that differs.
    """
    file = open_gguf(path)
    if list(file.tensors) != list(plan):
        raise VariantMismatch(f"{path} holds other tensors than were planned")
    for name, fate in plan.items():
        tensor = file.tensors[name]
        if tensor.type_name != (fate.container or "F32"):
            raise VariantMismatch(f"tensor {name} was written as {tensor.type_name}")
        if fate.format is None:
            _compare_floats(name, tensor.raw(), facts[name])
        else:
            _compare(name, integers_of(tensor.raw(), fate.format), facts[name])
        file.forget_pages()


def verify_codes(
    path: Path, plan: Mapping[str, TensorPlan], facts: Mapping[str, TensorFacts]
) -> None:
    """Check a written codes file in the same way."""
    rounded = {name: fate.format for name, fate in plan.items() if fate.format is not None}
    seen = set()
    for name, (first, second) in iterate_codes(path):
        if isinstance(first, str):
            assert isinstance(second, np.ndarray)
            found = integers_of(second, rounded[name])
        else:
            assert isinstance(second, Params)
            running = IntegerHash()
            running.add(first, second)
            found = running.hexdigest()
        _compare(name, found, facts[name])
        seen.add(name)
    if seen != set(rounded):
        raise VariantMismatch(f"{path} holds other tensors than were planned")


def integers_of(raw: NDArray[np.uint8], format: Format) -> str:
    """Return the hash of stored rows' integers; see `IntegerHash`.

    Raises:
        VariantMismatch: blocks of one group differ in their scale.
    """
    step = max(1, _SLICE_BYTES // raw.shape[1])
    running = IntegerHash()
    for start in range(0, len(raw), step):
        try:
            running.add(*unpack_format(raw[start : start + step], format))
        except BadFile as error:
            raise VariantMismatch(str(error)) from error
    return running.hexdigest()


def _compare(name: str, found: str, facts: TensorFacts) -> None:
    if found != facts.integers_sha256:
        raise VariantMismatch(f"tensor {name} was written with other integers than were chosen")


def _compare_floats(name: str, raw: NDArray[np.uint8], facts: TensorFacts) -> None:
    """Compare a kept tensor: its bytes with those handed over, and its length with the account,
    which was made where the values were chosen (AWQ and QAT change norms on purpose).
    """
    bytes_ = np.ascontiguousarray(raw)
    squares = float(np.sum(np.square(bytes_.reshape(-1).view("<f4")), dtype=np.float64))
    same = hashlib.sha256(bytes_.data).hexdigest() == facts.integers_sha256
    if not same or not np.isclose(squares, facts.squared_weight, rtol=_SUMS_AGREE, atol=0):
        raise VariantMismatch(f"tensor {name} was kept with other values than were chosen")
