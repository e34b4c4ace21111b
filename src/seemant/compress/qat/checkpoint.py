"""Checkpoints of a QAT run: one safetensors file, whole or absent; the same bytes after a kill.

It holds what is trained, AdamW's moments and the state of the flips; the step, the losses so far
and what the run belongs to stand in its header.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from seemant.compress.qat.freeze import Flips
from seemant.core.atomic import atomic_path
from seemant.core.errors import BadFile
from seemant.core.os_errors import from_os_error
from seemant.train.tensor_file import write_tensors

FOLDER = ".checkpoints"
_NAME = "qat.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save(
    out: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    flips: Flips,
    state: Mapping[str, Any],
) -> None:
    """Write the checkpoint in the place of the last one; state: JSON values, "step" among them.

    Raises:
        WorldError: the disk is full or refuses; the last checkpoint is whole.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        tensors[f"value/{name}"] = parameter.detach()
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"{key}/{name}": moments[key] for key in _MOMENTS if key in moments}
    tensors |= {f"flips/{name}": each for name, each in flips.tensors().items()}
    try:
        with atomic_path(out / FOLDER / _NAME) as temporary:
            write_tensors(temporary, tensors, {"state": json.dumps(state)})
    except OSError as error:
        raise from_os_error(error, out / FOLDER) from error


def resume(
    out: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    flips: Flips,
    belongs: Any,
) -> dict[str, Any] | None:
    """Take a checkpoint back in; return its state, or None where there is none.

    Raises:
        BadFile: it belongs to other settings, or is damaged.
    """
    path = out / FOLDER / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads(file.metadata()["state"])
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadFile(
            f"the checkpoint is damaged: {error}", where=str(path), fix="add --force to begin again"
        ) from error
    if state["belongs"] != belongs:
        raise BadFile(
            "the checkpoint here belongs to another run",
            where=str(path),
            fix="name an empty folder with --out, or add --force to begin again",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"value/{name}"])
            optimiser.state[parameter] = {
                key: tensors[f"{key}/{name}"] for key in _MOMENTS if f"{key}/{name}" in tensors
            }
    flips.restore({n.removeprefix("flips/"): t for n, t in tensors.items() if "flips/" in n[:6]})
    return state
