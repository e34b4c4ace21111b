"""The references that the compression claims measure against: dithered models, or a toy."""

from pathlib import Path

from seemant.compress.reference.config import ReferenceConfig
from seemant.compress.reference.run import STAGE as DITHER
from seemant.core.stage import Input, execute, file_input
from seemant.models.backends.tiny import write_tiny
from seemant.models.resolve import resolve

STORE = Path(__file__).parent.parent / ".work" / "references"
"""Where references are made once, for all scripts."""


def dithered(model: str, seed: int, store: Path = STORE) -> Input:
    """Return an embedded model moved off its stored grid (w'), made once and kept.

    It ranks methods and is never shipped: 1.1 GB of float32 for Gemma 3 270M.
    """
    name = f"embedded:{model}"
    found = resolve(name, fetch=True)
    given = {"model": Input(found.path, name, model)}  # fetching has held its bytes to a hash
    made = execute(DITHER, ReferenceConfig(seed=seed), given, store=store)
    return made.as_input(f"{name} dithered {seed}")


def toy(folder: Path) -> Input:
    """Return a model of a formula, to see that a script runs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny(folder / "tiny.gguf")
    return file_input(folder / "tiny.gguf", "toy")


def weights(model: Input) -> Path:
    """Return the file of a reference."""
    return model.path / "model.gguf" if model.path.is_dir() else model.path
