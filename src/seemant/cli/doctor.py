"""`seemant doctor`: facts about the machine, what is installed, what is missing."""

import importlib.util
import json as jsonlib
import shutil
from pathlib import Path
from typing import Any

from seemant.core.errors import SeemantError
from seemant.core.machine import hardware, load_average, packages
from seemant.core.paths import cache_dir, data_dir

# Extra -> the module that it brings, and what it is for.
EXTRAS = {
    "llamacpp": ("xllamacpp", "fast inference on a CPU; the runtime that is deployed"),
    "nf4": ("bitsandbytes", "4-bit NF4 bases on CUDA"),
    "vllm": ("vllm", "a large teacher on a GPU"),
    "ray": ("ray", "many machines"),
    "track": ("mlflow", "run tracking"),
}


def doctor(*, json: bool = False) -> None:
    """Say what this machine can do, what is missing and how to get it.

    Example: seemant doctor --json
    """
    facts = examine()
    if json:
        print(jsonlib.dumps(facts, indent=2))
        return
    machine = facts["machine"]
    print(f"machine   {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB")
    print(f"flags     {' '.join(machine['flags']) or 'none of the telling ones'}")
    print(f"gpus      {', '.join(machine['gpus']) or 'none'}")
    print(f"load      {facts['load_average']:.2f} (timings want it near 0)")
    print(f"disk      {facts['disk_free_gb']} GB free here; cache in {facts['cache']}")
    print("packages  " + " ".join(f"{name} {v}" for name, v in facts["packages"].items()))
    for name, state in facts["extras"].items():
        get = "" if state["present"] else f"   get it: pip install 'seemant[{name}]'"
        print(f"extra     {name:9} {'yes' if state['present'] else 'no ':3} {state['for']}{get}")
    for name, present in facts["models"].items():
        print(f"model     {name:28} {'here' if present else 'missing: seemant models fetch'}")
    print(f"data      {facts['data'] or 'no folder of real evaluation data (SEEMANT_DATA)'}")
    print(f"limits    a memory limit can be enforced by: {facts['memory_limit']}")


def examine() -> dict[str, Any]:
    """Return everything that the command prints."""
    folder = data_dir()
    return {
        "machine": hardware(),
        "load_average": load_average(),
        "disk_free_gb": shutil.disk_usage(Path.cwd()).free // 10**9,
        "cache": str(cache_dir()),
        "packages": packages(),
        "extras": {
            name: {"present": importlib.util.find_spec(module) is not None, "for": purpose}
            for name, (module, purpose) in EXTRAS.items()
        },
        "models": _models(),
        "data": str(folder) if folder else None,
        "memory_limit": _memory_limit(),
    }


def _models() -> dict[str, bool]:
    from seemant.models.catalogue import entries
    from seemant.models.resolve import resolve

    found = {}
    for name in entries():
        try:
            found[name] = resolve(f"embedded:{name}").path.is_file()
        except SeemantError:
            found[name] = False
    return found


def _memory_limit() -> str:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        return "cgroup v2" if shutil.which("systemd-run") else "cgroup v2, where it is delegated"
    if (root / "memory" / "memory.limit_in_bytes").is_file():
        return "cgroup v1"
    return "rlimit only"
