"""Checkpoints: a killed run goes on and ends with the same bytes as one that was never killed.

A checkpoint is a folder `.checkpoints/step_000020` with two files: `tensors.safetensors`
(adapters, both moments of AdamW, the state of torch's generator) and `state.json` (the step, which
is also the data cursor, the losses so far, what it belongs to, the hash of the tensors). It is
filled under another name, synced and renamed, so a torn or full disk leaves the older ones whole.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from seemant.core.atomic import sync_folder
from seemant.core.errors import BadFile, SeemantError, from_os_error
from seemant.core.hashing import file_sha256
from seemant.core.jsonl import read_json, write_json
from seemant.train.loop import Progress, StepLine

FOLDER = ".checkpoints"
_KEEP = 2
_GENERATOR = "generator"
_MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's own names


def save(
    out: Path,
    progress: Progress,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    *,
    belongs: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Path:
    """Write the checkpoint of this step and remove all but the newest two.

    belongs: what the run is (config, hashes): must be equal to resume. machine: what bits depend
    on (threads, versions, CPU): may differ, and then the run is no longer bit-exact.

    Raises:
        WorldError: the disk is full or refuses; the older checkpoints are whole.
    """
    folder = out / FOLDER
    final = folder / f"step_{progress.step:06d}"
    temporary = folder / f"tmp_{progress.step:06d}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tensors = temporary / "tensors.safetensors"
        _write_synced(tensors, to_bytes(_tensors(parameters, optimiser)))
        state = {
            "step": progress.step,
            "before": progress.before,
            "now": progress.now,
            "bit_exact": progress.bit_exact,
            "history": [line.model_dump() for line in progress.history],
            "belongs": dict(belongs),
            "machine": dict(machine),
            "tensors_sha256": file_sha256(tensors),
        }
        write_json(temporary / "state.json", state)
        if final.exists():  # found damaged when this run resumed
            shutil.rmtree(final)
        temporary.rename(final)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise from_os_error(error) from error
    prune(out, _KEEP)
    return final


def resume(
    out: Path,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    *,
    belongs: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Progress:
    """Load the newest whole checkpoint into parameters, optimiser and torch's generator.

    Returns what it had done: nothing where there is no checkpoint; no longer `bit_exact` where
    threads, versions or CPU are not those that wrote it.

    Raises:
        BadFile: the checkpoints belong to other data, model or settings.
    """
    for path in sorted((out / FOLDER).glob("step_*"), reverse=True):
        try:
            state = read_json(path / "state.json")
            if file_sha256(path / "tensors.safetensors") != state["tensors_sha256"]:
                continue
        except (SeemantError, OSError):  # torn: an older one may be whole
            continue
        if state["belongs"] != dict(belongs):
            differ = [k for k in belongs if state["belongs"].get(k) != belongs[k]]
            raise BadFile(
                f"the checkpoints here belong to another run: other {', '.join(differ)}",
                where=str(path),
                fix="name an empty folder with --out, or add --force to begin again",
            )
        _restore(load_file(path / "tensors.safetensors"), state["step"], parameters, optimiser)
        history = [StepLine.model_validate(line) for line in state["history"]]
        same = state["bit_exact"] and state["machine"] == dict(machine)
        return Progress(state["step"], state["before"], state["now"], history, same)
    return Progress()


def prune(out: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what killed writes left."""
    folder = out / FOLDER
    whole = sorted(folder.glob("step_*"))
    for path in [*whole[: len(whole) - keep], *folder.glob("tmp_*")]:
        shutil.rmtree(path, ignore_errors=True)


def _tensors(
    parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    tensors = {name: parameter.detach() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        for moment in _MOMENTS:
            tensors[f"{name}.{moment}"] = optimiser.state[parameter][moment]
    tensors[_GENERATOR] = torch.get_rng_state()
    return tensors


def _restore(
    tensors: Mapping[str, Tensor],
    step: int,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
            moments = {moment: tensors[f"{name}.{moment}"] for moment in _MOMENTS}
            optimiser.state[parameter] = {"step": torch.tensor(float(step)), **moments}
    torch.set_rng_state(tensors[_GENERATOR])


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
