"""A stream's place: the hidden states at a layer's input, in a file that is whole or absent."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seemant.core.atomic import write_atomic

NAME = "hidden.safetensors"


def save_state(folder: Path, key: str, layer: int, hidden: dict[str, Tensor]) -> None:
    """Write the inputs of `layer` by language, (N, d) float32, over those of the layer before."""
    folder.mkdir(parents=True, exist_ok=True)
    # As bytes: the library's own writer hides a full disk.
    write_atomic(folder / NAME, save(hidden, metadata={"key": key, "layer": str(layer)}))


def load_state(folder: Path, key: str) -> tuple[int, dict[str, Tensor]] | None:
    """Return the layer and its inputs, or None: nothing there, of another stream, or damaged."""
    try:
        with safe_open(folder / NAME, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("key") != key:
                return None
            return int(facts["layer"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return None
