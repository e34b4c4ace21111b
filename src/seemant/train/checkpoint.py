"""Checkpoints: a killed run goes on and ends with the same bytes as one that was never killed.

A checkpoint is a folder `.checkpoints/step_000020` with two files: `tensors.safetensors` (what is
trained, the optimiser's and the hooks' tensors, the state of torch's generators) and `state.json`
(the step, which is also the cursor of data and replay, the losses so far, the hooks' figures, what
it belongs to, the hash of the tensors). It is filled under another name, synced and renamed, so a
torn write or a full disk leaves the older ones whole. Base weights are never in it.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from seemant.core.errors import BadFile, DiskFull, SeemantError
from seemant.core.hashing import file_sha256
from seemant.core.jsonl import read_json, write_json
from seemant.core.os_errors import from_os_error
from seemant.core.sync import sync_folder
from seemant.train.hooks import Hook
from seemant.train.lines import Best, Progress, StepLine
from seemant.train.tensor_file import write_tensors

FOLDER = ".checkpoints"
_GENERATOR, _GPU = "generator", "generator.cuda"
_OPTIMISER, _HOOK = "optimiser", "hook"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a checkpoint holds, and what it is taken back into.

    belongs: what the run is (config, hashes): must be equal to resume. machine: what bits depend
    on (threads, versions, CPU, plan): may differ, and then the run is no longer bit-exact.
    """

    parameters: Mapping[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    belongs: Mapping[str, Any]
    machine: Mapping[str, Any]
    hooks: Sequence[Hook] = ()


def save(out: Path, progress: Progress, kept: Kept, n_keep: int) -> Path:
    """Write the checkpoint of this step and remove all but the newest `n_keep` and the best.

    Raises:
        WorldError: the disk is full or refuses; the older checkpoints are whole.
    """
    folder = out / FOLDER
    final, temporary = _named(out, progress.step), folder / f"tmp_{progress.step:06d}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        moments, plain = _optimiser_state(kept)
        tensors = {**_tensors(kept), **moments}
        _check_room(folder, sum(each.nbytes for each in tensors.values()))
        write_tensors(temporary / "tensors.safetensors", tensors)
        state = {
            **asdict(progress),
            "history": [line.model_dump() for line in progress.history],
            "best": {name: best.model_dump() for name, best in progress.best.items()},
            "optimiser": plain,
            "hooks": {hook.name: hook.state() for hook in kept.hooks},
            "belongs": dict(kept.belongs),
            "machine": dict(kept.machine),
            "tensors_sha256": file_sha256(temporary / "tensors.safetensors"),
        }
        write_json(temporary / "state.json", state)
        if final.exists():  # found damaged when this run resumed
            shutil.rmtree(final)
        temporary.rename(final)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise from_os_error(error, final) from error
    except DiskFull:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    prune(out, n_keep, also=[best.step for best in progress.best.values()])
    return final


def resume(out: Path, kept: Kept) -> Progress:
    """Load the newest whole checkpoint into parameters, optimiser, hooks and torch's generators.

    Returns what it had done: nothing where there is no checkpoint; no longer `bit_exact` where
    the machine is not as it was.

    Raises:
        BadFile: the checkpoints belong to other data, model or settings.
    """
    for path in sorted((out / FOLDER).glob("step_*"), reverse=True):
        state = _whole_state(path)
        if state is None:  # torn: an older one may be whole
            continue
        if state["belongs"] != dict(kept.belongs):
            differ = [k for k in kept.belongs if state["belongs"].get(k) != kept.belongs[k]]
            raise BadFile(
                f"the checkpoints here belong to another run: other {', '.join(differ)}",
                where=str(path),
                fix="name an empty folder with --out, or add --force to begin again",
            )
        _restore(load_file(path / "tensors.safetensors"), state, kept)
        same = state["bit_exact"] and state["machine"] == dict(kept.machine)
        return Progress(
            step=state["step"],
            before=state["before"],
            now=state["now"],
            history=[StepLine.model_validate(line) for line in state["history"]],
            best={name: Best.model_validate(best) for name, best in state["best"].items()},
            ended=state["ended"],
            bit_exact=same,
        )
    return Progress()


def load_weights(
    out: Path, step: int, parameters: Mapping[str, nn.Parameter], hook: str | None = None
) -> None:
    """Put the trained values of one step's checkpoint, or a hook's tensors, into the parameters.

    Raises:
        BadFile: it is not there any more, or damaged.
    """
    path = _named(out, step)
    if _whole_state(path) is None:
        raise BadFile(
            f"the checkpoint of step {step}, whose weights are to be kept, is damaged or missing",
            where=str(path),
            fix="add --force to train again",
        )
    tensors = load_file(path / "tensors.safetensors")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"{_HOOK}/{hook}/{name}" if hook else name])


def prune(out: Path, n_keep: int, also: Sequence[int] = ()) -> None:
    """Remove all but the newest `n_keep` checkpoints and those of the steps `also`."""
    folder = out / FOLDER
    whole = sorted(folder.glob("step_*"))
    spared = {*whole[-n_keep:], *(_named(out, step) for step in also)}
    for path in [*(each for each in whole if each not in spared), *folder.glob("tmp_*")]:
        shutil.rmtree(path, ignore_errors=True)


def _named(out: Path, step: int) -> Path:
    return out / FOLDER / f"step_{step:06d}"


def _whole_state(path: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = read_json(path / "state.json")
        whole = file_sha256(path / "tensors.safetensors") == state["tensors_sha256"]
    except (SeemantError, OSError, KeyError, TypeError):
        return None
    return state if whole else None


def _tensors(kept: Kept) -> dict[str, Tensor]:
    tensors = {name: parameter.detach() for name, parameter in kept.parameters.items()}
    for hook in kept.hooks:
        tensors |= {f"{_HOOK}/{hook.name}/{key}": each for key, each in hook.tensors().items()}
    tensors[_GENERATOR] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors[_GPU] = torch.cuda.get_rng_state()
    return tensors


def _optimiser_state(kept: Kept) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Return the optimiser's tensors by name, and the plain numbers that it keeps beside them."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for name, parameter in kept.parameters.items():
        for key, value in kept.optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{_OPTIMISER}/{name}/{key}"] = value
            else:
                plain.setdefault(name, {})[key] = value
    return tensors, plain


def _restore(tensors: Mapping[str, Tensor], state: Mapping[str, Any], kept: Kept) -> None:
    with torch.no_grad():
        for name, parameter in kept.parameters.items():
            parameter.copy_(tensors[name])
            found = _below(f"{_OPTIMISER}/{name}/", tensors)
            # Single numbers (AdamW's step) stay on the CPU, as torch itself keeps them.
            found = {
                k: each.to(parameter.device) if each.ndim else each for k, each in found.items()
            }
            kept.optimiser.state[parameter] = {**state["optimiser"].get(name, {}), **found}
    for hook in kept.hooks:
        own = _below(f"{_HOOK}/{hook.name}/", tensors)
        hook.restore(state["hooks"][hook.name], own)
    torch.set_rng_state(tensors[_GENERATOR])
    if _GPU in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors[_GPU])


def _below(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key[len(start) :]: each for key, each in tensors.items() if key.startswith(start)}


def _check_room(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DiskFull(
            f"a checkpoint takes {need / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            where=str(folder),
            fix="free some space, then run it again: it goes on from the checkpoint before",
        )
