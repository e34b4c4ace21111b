"""Verification: the written file is opened again, and its integers are those that were chosen."""

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


class VariantMismatch(RuntimeError):
    """A file holds other integers than were chosen: a mistake of ours, never of the user."""


def verify_model(
    path: Path, plan: Mapping[str, TensorPlan], facts: Mapping[str, TensorFacts]
) -> None:
    """Check a written GGUF file, tensor by tensor.

    Raises:
        VariantMismatch: names the first tensor that differs.
    """
    file = open_gguf(path)
    if list(file.tensors) != list(plan):
        raise VariantMismatch(f"{path} holds other tensors than were planned")
    for name, fate in plan.items():
        if fate.format is not None and fate.container is not None:
            tensor = file.tensors[name]
            if tensor.type_name != fate.container:
                raise VariantMismatch(f"tensor {name} was written as {tensor.type_name}")
            _compare(name, integers_of(tensor.raw(), fate.format), facts[name])


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
