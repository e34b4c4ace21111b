"""The files of `tuned_at_four_bits.py`: students, and every cure's 4-bit file of each model."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from compression.texts import real_text, write_calibration

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE as COMPRESS
from seemant.compress.source import Source, open_source
from seemant.core.records import Lang
from seemant.core.stage import Done, Input, execute, file_input
from seemant.corpus.config import CorpusConfig
from seemant.corpus.run import STAGE as CORPUS
from seemant.distill.config import DistillConfig
from seemant.distill.run import STAGE as DISTILL
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.resolve import resolve
from seemant.train.config import TrainConfig
from seemant.train.run import STAGE as TRAIN

WORK = Path(__file__).parent / ".work" / "tuned_at_four_bits"
UNTUNED, TUNED = "untuned", "tuned"


class Model(NamedTuple):
    """An embedded model and the languages that it has."""

    name: str
    languages: tuple[Lang, ...]
    tuned_on: tuple[Lang, ...]


class State(NamedTuple):
    """A model as it comes or tuned: its float32 file, what it is made of, and its adapter."""

    name: str
    model: Model
    base: Input
    adapter: Done | None
    source: Source
    whole: Path
    calibration: Input


def states_of(model: Model, args: argparse.Namespace) -> Iterator[State]:
    """Yield a model untuned and tuned."""
    base = Input(resolve(f"embedded:{model.name}", fetch=True).path, model.name, model.name)
    lines = write_calibration(real_text(model.languages), WORK / f"{model.name}.jsonl")
    for name, adapter in ((UNTUNED, None), (TUNED, student(model, base, args))):
        source = open_source(open_gguf(base.path), adapter.path if adapter else None)
        whole = written(f"{model.name}-{name}", source, adapter)
        yield State(name, model, base, adapter, source, whole, file_input(lines, model.name))


def files(state: State, grid: str, args: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield each cure's name and its file."""

    def made(method: str, given: dict[str, Input]) -> Path:
        config = CompressConfig(
            method=method,
            format=grid,
            languages=state.model.languages,
            calibration_tokens=4096,
            threads=args.threads,
        )
        if method == "gptq":
            given = {**given, "calibration": state.calibration}
        return execute(COMPRESS, config, given, store=WORK / "runs").path / "model.gguf"

    yield "nearest", made("rtn", {"model": file_input(state.whole, state.whole.stem)})
    if state.adapter is None:
        yield "gptq", made("gptq", {"model": state.base})
        return
    tuned = {"model": state.base, "adapter": state.adapter.as_input("adapter")}
    yield "ties", made("rtn", tuned)
    yield "gptq", made("gptq", tuned)
    for method, name in (("rtn", "apart"), ("gptq", "apart-gptq")):
        rounded = open_gguf(made(method, {"model": state.base}))
        beside = {
            key: rounded.dequantize(key) + merged - _base(state.source, key, merged.shape)
            for key, merged in state.source.merged.items()
        }
        path = f"{state.model.name}-{grid}-{name}"
        yield name, written(path, Source(rounded, beside), state.adapter)


def _base(source: Source, key: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(list(source.slices_of_base(key))).reshape(shape)


def written(name: str, source: Source, adapter: Done | None) -> Path:
    """Return a float32 file of a base with what was merged into it; an adapter's is its own."""
    of = f"-{adapter.manifest.content_sha256[:8]}" if adapter else ""
    path = WORK / f"{name}{of}.gguf"
    if path.is_file():
        return path
    tensors = {
        name: TensorData("F32", tensor.shape, lambda name=name: source.slices(name))
        for name, tensor in source.file.tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(path, source.file.fields, tensors)
    return path


def student(model: Model, base: Input, args: argparse.Namespace) -> Done:
    """Return an adapter trained as the quick study trains one."""
    store = WORK / "runs"
    teacher = Input(
        resolve("embedded:gemma-3-270m", fetch=True).path, "gemma-3-270m", "gemma-3-270m"
    )
    paragraphs = execute(
        CORPUS, CorpusConfig(languages=("hi", "kn"), per_language=60, seed=17), {}, store=store
    )
    pairs = execute(
        DISTILL,
        DistillConfig(languages=("hi", "kn"), limit=60, attempts=2, workers=1, seed=17),
        {"paragraphs": paragraphs.as_input("paragraphs"), "teacher": teacher},
        store=store,
    )
    config = TrainConfig(
        languages=model.tuned_on, steps=40, lr=3e-4, batch=2, accumulation=2, max_length=320,
        on_long="cut-input", threads=args.threads,
    )  # fmt: skip
    return execute(TRAIN, config, {"model": base, "pairs": pairs.as_input("pairs")}, store=store)
