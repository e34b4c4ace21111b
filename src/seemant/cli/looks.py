"""What `seemant doctor` looks at, a function each; none of them fails."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seemant.core.capability import Capability, capability
from seemant.core.errors import SeemantError, WorldError
from seemant.core.machine import cores, hardware, load_average, memory_bytes, packages
from seemant.core.memory import allowed_bytes
from seemant.core.paths import cache_dir, data_dir

State = Literal["fine", "slow", "missing"]
_NEEDS_GB = 5  # a quick study's artefacts and the models, with room to spare
_PRODUCT = "a product of 256 x 1152 x 6912 on one thread"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. do: what mends it, where that is worth anything."""

    name: str
    state: State
    said: str
    do: str = ""


# Extra -> the module that it brings, and what it is for.
EXTRAS = {
    "vllm": ("vllm", "a large teacher on a GPU"),
    "ray": ("ray", "many machines"),
    "track": ("mlflow", "run tracking"),
}


def looks(*, again: bool = False) -> Iterator[Line]:
    """Give every line. again: what was measured on this machine is measured anew."""
    yield from seen("machine", _machine)
    yield from seen("memory", _memory)
    yield from seen("load", _load)
    yield from seen("disk", _disk)
    yield from seen("products", lambda: _products(again))
    yield from seen("runtime", lambda: _runtime(again))
    yield from seen("limits", _limits)
    yield from seen("llama.cpp", _llamacpp)
    yield from seen("nf4", _nf4)
    yield from seen("gpu", _gpu)
    for name in EXTRAS:
        yield from seen(name, lambda name=name: _extra(name))  # type: ignore[misc]
    yield from seen("locale", _locale)
    yield from seen("cache", _cache)
    yield from seen("models", _models)
    yield from seen("data", _data)
    yield from seen("packages", _packages)


def seen(name: str, look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """Give a look's lines; one that fails is a line that says why."""
    try:
        yield from look()
    except SeemantError as error:
        yield Line(name, "missing", error.what, error.fix or "")
    except Exception as error:  # whatever a broken library or system raises: the next look goes on
        text = " ".join(str(error).split())
        yield Line(name, "missing", f"could not be looked at: {type(error).__name__}: {text}")


def _machine() -> Iterator[Line]:
    facts = hardware()
    flags = " ".join(facts["flags"]) or "none of the telling flags"
    yield Line("machine", "fine", f"{facts['cpu']}, {facts['cores']} cores, {flags}")


def _memory() -> Iterator[Line]:
    total, allowed = memory_bytes(), allowed_bytes()
    said = f"{total / 1e9:.1f} GB"
    if allowed is not None and allowed < total:
        limit = f"{said}, of which this process may take {allowed / 1e9:.1f} GB (its control group)"
        do = "" if allowed >= 4e9 else "give the container 4 GB or more; train with --memory-limit"
        yield Line("memory", "fine" if not do else "slow", limit, do)
        return
    yield Line("memory", "fine", said)


def _load() -> Iterator[Line]:
    load = load_average()
    if load > cores() / 2:
        said = f"{load:.2f}: timings would measure what else runs"
        yield Line("load", "slow", said, "wait until the machine is idle before `bench`")
    else:
        yield Line("load", "fine", f"{load:.2f}")


def _disk() -> Iterator[Line]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    do = "" if free >= _NEEDS_GB else f"free some space: a study wants {_NEEDS_GB} GB"
    yield Line("disk", "fine" if not do else "missing", f"{free:.0f} GB free in this folder", do)


def _products(again: bool) -> Iterator[Line]:
    can = capability(again=again)
    for name, took in can.products.items():
        spread = (
            f"{1e3 * took.s:.1f} ms ({1e3 * took.low:.1f} to {1e3 * took.high:.1f}), {_PRODUCT}"
        )
        slow = name == "bfloat16" and not can.gains_by(name)
        yield Line(name, "slow" if slow else "fine", spread, _in_place(can) if slow else "")
    for name, why in can.refused.items():
        yield Line(name, "missing", why, _in_place(can) if name == "bfloat16" else "")


def _in_place(can: Capability) -> str:
    where = "on the CPU " if can.cuda else ""
    return f"nothing: --compute bfloat16 is computed in float32 {where}here"


def _runtime(again: bool) -> Iterator[Line]:
    from seemant.train.memory.floor import runtime_floor

    floor = runtime_floor(again=again)
    yield Line("runtime", "fine", f"{floor / 1e6:.0f} MB before any model")


def _limits() -> Iterator[Line]:
    from seemant.train.memory.limit import best_way

    how = best_way()
    if how == "watcher":
        do = "run on Linux with cgroups for one that the kernel holds"
        yield Line("limits", "slow", f"a memory limit is watched here by: {how}", do)
    else:
        yield Line("limits", "fine", f"a memory limit is enforced here by: {how}")


def _llamacpp() -> Iterator[Line]:
    get = "pip install 'seemant[llamacpp]'"
    if importlib.util.find_spec("xllamacpp") is None:
        yield Line("llama.cpp", "missing", "no runtime to chat, probe, bench and serve with", get)
        return
    said = _tried("import xllamacpp; print(xllamacpp.get_system_info())")
    has = [word.split("=")[0].strip() for word in said.split("|") if word.endswith("= 1 ")]
    yield Line("llama.cpp", "fine", " ".join(has).replace("CPU : ", "built with "))


def _nf4() -> Iterator[Line]:
    get = "pip install 'seemant[nf4]'"
    if importlib.util.find_spec("bitsandbytes") is None:
        said = "no bitsandbytes: no 4-bit NF4 bases; int4 bases need nothing"
        yield Line("nf4", "missing", said, get)
        return
    _tried("import bitsandbytes.functional")
    yield Line("nf4", "fine", "4-bit NF4 bases")


def _tried(code: str) -> str:
    """Return what code prints in a process of its own: a build for another CPU ends its process.

    Raises:
        WorldError: it did not end well.
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        told = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise WorldError(f"it cannot be loaded here: {told}", fix="install it again")
    return done.stdout


def _gpu() -> Iterator[Line]:
    gpus, cuda = hardware()["gpus"], capability().cuda
    if cuda:
        yield Line("gpu", "fine", ", ".join(gpus) or "one that torch can use")
    elif gpus:
        do = "install a CUDA build of torch (docs/install.md)"
        yield Line("gpu", "missing", f"{', '.join(gpus)}, but torch here cannot use it", do)
    else:
        yield Line("gpu", "missing", "none; everything but vLLM teachers works without")


def _extra(name: str) -> Iterator[Line]:
    module, purpose = EXTRAS[name]
    if importlib.util.find_spec(module) is not None:
        yield Line(name, "fine", purpose)
    else:
        yield Line(name, "missing", purpose, f"pip install 'seemant[{name}]'")


def _locale() -> Iterator[Line]:
    files, out = sys.getfilesystemencoding(), sys.stdout.encoding or "unknown"
    if "utf" in files.lower() and "utf" in out.lower():
        yield Line("locale", "fine", f"file names and output are {out}")
    else:
        said = f"file names are {files}, output is {out}: Hindi is shown as escapes"
        yield Line("locale", "slow", said, "export PYTHONUTF8=1, unset PYTHONIOENCODING")


def _cache() -> Iterator[Line]:
    folder = cache_dir()
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        do = "set SEEMANT_CACHE to a folder that can be written"
        state: State = "slow" if (folder / "models").is_dir() else "missing"
        yield Line("cache", state, f"{folder} cannot be written ({error.strerror})", do)
        return
    free = shutil.disk_usage(there).free / 1e9
    yield Line("cache", "fine" if free >= 1 else "missing", f"{folder}, {free:.0f} GB free there")


def _models() -> Iterator[Line]:
    from seemant.models.catalogue import entries
    from seemant.models.resolve import resolve

    for name in entries():
        try:
            here = resolve(f"embedded:{name}").path.is_file()
        except SeemantError:
            here = False
        get = f"seemant models fetch {name}"
        yield Line(f"model {name}", *(("fine", "here") if here else ("missing", "not here", get)))


def _data() -> Iterator[Line]:
    if folder := data_dir():
        yield Line("data", "fine", str(folder))
    elif named := os.environ.get("SEEMANT_DATA"):
        yield Line("data", "missing", f"SEEMANT_DATA names no folder: {named}", "check the path")
    else:
        said = "no folder of real evaluation data; only some tests and benchmarks want it"
        yield Line("data", "missing", said, "SEEMANT_DATA=FOLDER")


def _packages() -> Iterator[Line]:
    yield Line("packages", "fine", " ".join(f"{name} {v}" for name, v in packages().items()))
