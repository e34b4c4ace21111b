"""`seemant doctor`: facts about the machine, what is installed, what is missing, how fast it is."""

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


def doctor(*, json: bool = False, again: bool = False) -> None:
    """Say what this machine can do, what is missing and how to get it.

    Example: seemant doctor --json

    Parameters
    ----------
    again
        Time the products and measure the runtime's memory anew; once a machine otherwise.
    """
    facts = examine(again=again)
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
    limit = facts["memory_limit"]
    print(
        f"limits    a memory limit is {'enforced' if limit['enforced'] else 'watched'} here by: "
        f"{limit['how']}"
    )
    for name, seconds in facts["products"].items():
        print(
            f"product   {name:9} {1e3 * seconds['s']:7.1f} ms "
            f"({1e3 * seconds['low']:.1f} to {1e3 * seconds['high']:.1f})   {_PRODUCT}"
        )
    print(f"runtime   {facts['runtime_bytes'] / 1e6:.0f} MB before any model")


_PRODUCT = "one of 256 x 1152 x 6912 on one thread"


def examine(*, again: bool = False) -> dict[str, Any]:
    """Return everything that the command prints; what is measured is measured once, or `again`."""
    from seemant.train.memory.floor import runtime_floor
    from seemant.train.memory.products import product_seconds

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
        "products": product_seconds(again=again),
        "runtime_bytes": runtime_floor(again=again),
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


def _memory_limit() -> dict[str, Any]:
    from seemant.train.memory.limit import best_way

    how = best_way()
    return {"how": how, "enforced": how != "watcher"}
