"""Quantise a GGUF file with one method, from opening it to the closed file; say time and memory.

python quantise_ours.py '{"gguf": ..., "method": "gptq", "tokens": 12288, "threads": 2}'
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lines import memory
from numpy.typing import NDArray

from seemant.compress.awq.config import AwqConfig
from seemant.compress.awq.moments import SiteMoments
from seemant.compress.awq.parts import block_parts
from seemant.compress.awq.prepare import prepare_block
from seemant.compress.calibrate.hessians import mean_size, mixed
from seemant.compress.calibrate.stream import SITE_OF, LayerStream, LayerWork
from seemant.compress.calibrate.tensors import Tensors, tensors_of
from seemant.compress.calibrate.tokens import random_sequences
from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.quantised import Quantised
from seemant.compress.methods.registry import METHODS
from seemant.compress.source import Source
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.formats.tensor_format import format_of, pack_format, value_format

BLOCKS, OUTER = format_of("q4_0"), format_of("q8_0")
SAMPLE = 2048  # tokens of the forwards that verify AWQ's scales


def main() -> None:
    """Do the work and print one JSON object."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(spec["threads"])
    start = time.perf_counter()
    file = open_gguf(Path(spec["gguf"]))
    tensors = tensors_of(Source(file, {}))
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        folder = Path(scratch)
        if spec["method"] != "rtn":
            calibrated(tensors, spec, folder)
        written = {name: data_of(tensors, name, folder / f"{name}.npy") for name in tensors.sizes}
        write_gguf(folder / "out.gguf", file.fields, written)
        seconds = time.perf_counter() - start
        size = (folder / "out.gguf").stat().st_size
    print(json.dumps({"seconds": round(seconds, 2), "bytes": size, **memory()}))


def calibrated(tensors: Tensors, spec: dict[str, Any], folder: Path) -> None:
    """Round the blocks one after another; what is stored of each tensor goes into the folder."""
    ids = random_sequences(tensors.shape.vocab, tokens=spec["tokens"], seed=0)
    for work in LayerStream(tensors, {"all": ids}).layers():
        (gptq if spec["method"] == "gptq" else awq)(work, tensors, folder)


def gptq(work: LayerWork, tensors: Tensors, folder: Path) -> None:
    """Round one block with error feedback, an input's moments at a time."""
    del tensors
    for site, hessian in _hessians(work):
        for name in _readers(work, site):
            matrix = Matrix(name, work.weights[name].numpy(), BLOCKS, "mse", hessian)
            _keep(work, name, METHODS["gptq"].run(matrix, MethodConfig()), folder)


def awq(work: LayerWork, tensors: Tensors, folder: Path) -> None:
    """Search scales and clipping of one block, fold them, round to nearest."""
    moments = {
        site: SiteMoments(mixed(found), mean_size(found)) for site, found in work.moments.items()
    }
    x, lengths = work.sample(SAMPLE)
    forward = block_parts(tensors.shape, work.layer, x, lengths, dict(work.weights))

    def format(name: str) -> Any:
        return BLOCKS if work.weights[name].ndim == 2 else None

    result = prepare_block(
        work.layer, work.weights, moments, forward, format, tensors.shape, AwqConfig()
    )
    for name, values in result.to_round().items():
        if values.ndim == 1:
            np.save(folder / f"{name}.npy", values.numpy())
            work.replace(name, values)
        else:
            matrix = Matrix(name, values.contiguous().numpy(), BLOCKS)
            _keep(work, name, METHODS["rtn"].run(matrix, MethodConfig()), folder)


def data_of(tensors: Tensors, name: str, kept: Path) -> TensorData:
    """Return what is stored of a tensor: as it was kept, or rounded to nearest while it is read."""
    size = tensors.sizes[name]
    format = BLOCKS if name.startswith("blk.") else OUTER
    if len(size) == 1:
        values = np.load(kept) if kept.is_file() else tensors.whole(name).numpy()
        return TensorData("F32", size, values)

    def pieces() -> Iterator[NDArray[np.uint8]]:
        if kept.is_file():
            yield np.load(kept)
            return
        for w in tensors.slices(name):
            found = METHODS["rtn"].run(Matrix(name, w, format), MethodConfig())
            yield pack_format(*found, format)

    return TensorData(str(format.container), size, pieces)


def _hessians(work: LayerWork) -> Iterator[tuple[str, torch.Tensor]]:
    for site in list(work.moments):
        yield site, mixed(work.moments.pop(site))


def _readers(work: LayerWork, site: str) -> list[str]:
    return [
        name
        for name, each in work.weights.items()
        if each.ndim == 2 and SITE_OF[name.split(".")[2]] == site
    ]


def _keep(work: LayerWork, name: str, found: Quantised, folder: Path) -> None:
    np.save(folder / f"{name}.npy", pack_format(*found, BLOCKS))
    work.replace(name, value_format(*found))


if __name__ == "__main__":
    main()
