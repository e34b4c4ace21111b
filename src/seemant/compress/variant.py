"""Making the variant's file: tensor by tensor, whole or not at all."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seemant.compress.account import TensorFacts
from seemant.compress.methods.quantised import Quantised
from seemant.compress.rounding import Rounding
from seemant.compress.source import Source
from seemant.formats.codes import save_codes
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_write import TensorData, write_gguf

Done = Callable[[str], None]


def write_model(
    path: Path, source: Source, rounding: Rounding, metadata: Mapping[str, MetaValue], done: Done
) -> dict[str, TensorFacts]:
    """Write the variant as a GGUF file and return each tensor's account.

    Kept tensors have no integers: their `integers_sha256` is that of the floats handed over.
    `done(name)` is called as tensors are finished.
    """
    floats: dict[str, str] = {}

    def stored(name: str) -> Callable[[], Iterator[NDArray[np.generic]]]:
        def pieces() -> Iterator[NDArray[np.generic]]:
            running = hashlib.sha256()
            for rows in rounding.rows(name):
                if rounding.plan[name].format is None:
                    running.update(np.ascontiguousarray(rows).data)
                yield rows
            if rounding.plan[name].format is None:
                floats[name] = running.hexdigest()
            done(name)

        return pieces

    tensors = {
        name: TensorData(fate.container or "F32", source.file.tensors[name].shape, stored(name))
        for name, fate in rounding.plan.items()
    }
    write_gguf(path, metadata, tensors)
    return {
        name: rounding.facts(name).model_copy(
            update={"integers_sha256": floats[name]} if name in floats else {}
        )
        for name in rounding.plan
    }


def write_codes(path: Path, rounding: Rounding, done: Done) -> dict[str, TensorFacts]:
    """Write a torch-only variant: codes and scales as safetensors; kept tensors stay in the base.

    Rows that fit a layout (the embedding) are stored in it.
    """
    coded: dict[str, Quantised] = {}
    blocks: dict[str, tuple[str, NDArray[np.uint8]]] = {}
    for name, fate in rounding.plan.items():
        if fate.format is not None and fate.container is None:
            coded[name] = rounding.quantised(name)
        else:
            rows = list(rounding.rows(name))
            if fate.container is not None:
                blocks[name] = fate.container, np.concatenate(rows).view(np.uint8)
        done(name)
    save_codes(path, coded, blocks)
    return {name: rounding.facts(name) for name in rounding.plan}
