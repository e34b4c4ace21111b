"""Reading an HF model folder: `config.json` and safetensors, whole or in shards, nothing else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seemant.core.errors import BadFile

if TYPE_CHECKING:
    import torch

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`.

    Raises:
        BadFile: it is missing or no JSON object, or asks for code of its own.
    """
    config = _json(folder / "config.json")
    if "auto_map" in config:
        raise BadFile(
            "the model asks to run code of its own, which is never done here",
            where=str(folder / "config.json"),
            fix="use a model of a family that transformers itself knows",
        )
    if "quantization_config" in config:
        raise BadFile(
            "the folder's weights are packed by a quantisation method that is not read here",
            where=str(folder / "config.json"),
            fix="use the model's plain (16 or 32 bit) folder, or a GGUF file",
        )
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return a folder's safetensors files.

    Raises:
        BadFile: there are none (pickled weights are never opened), or a shard is missing.
    """
    if (folder / INDEX).is_file():
        index = _json(folder / INDEX)
        names = sorted(set(index.get("weight_map", {}).values()))
        absent = [name for name in names if not (folder / name).is_file()]
        if absent or not names:
            raise BadFile(
                f"{len(absent)} of {len(names)} weight files are missing: {', '.join(absent[:3])}",
                where=str(folder),
                fix="fetch the model again: what is whole is not downloaded twice",
            )
        return [folder / Path(name).name for name in names]
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    pickled = sorted(path.name for path in folder.glob("*.bin")) + sorted(
        path.name for path in folder.glob("*.pt*")
    )
    if pickled:
        raise BadFile(
            f"the weights are pickled ({pickled[0]}), and opening a pickle runs code",
            where=str(folder),
            fix="fetch a revision of the model that has safetensors",
        )
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise BadFile(
        f"the folder holds no {WHOLE}",
        where=str(folder),
        fix=f"name the folder of a whole model (this one holds: {present})",
    )


def read_state(folder: Path) -> dict[str, "torch.Tensor"]:
    """Return a folder's tensors by transformers name, mapped from disk.

    Raises:
        BadFile: no safetensors weights, or a damaged file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    state: dict[str, torch.Tensor] = {}
    for path in weight_files(folder):
        try:
            state |= load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadFile(
                f"the weights cannot be read: {error}",
                where=str(path),
                fix="remove the file and fetch the model again",
            ) from error
    # Old exports carry the rotary frequencies, which are computed.
    return {name: each for name, each in state.items() if not name.endswith("rotary_emb.inv_freq")}


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BadFile(
            f"the folder holds no {path.name}",
            where=str(path.parent),
            fix="name the folder of a whole model",
        )
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadFile(f"not JSON: {error}", where=str(path), fix="fetch the model again") from error
    if not isinstance(value, dict):
        raise BadFile("not a JSON object", where=str(path), fix="fetch the model again")
    return value
