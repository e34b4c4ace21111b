"""What was tried or measured once on this machine: what its CPU can do, the runtime's memory.

One file for each machine, set of libraries and settings that hold them back, in the user's cache;
removing it only means measuring again. Where there is no cache to write to, nothing is kept.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from seemant.core.errors import SeemantError
from seemant.core.hashing import json_sha256
from seemant.core.jsonl import read_json, write_json
from seemant.core.machine import hardware, packages
from seemant.core.paths import cache_dir

# A library told to use fewer instructions, or another device, is another machine.
_HELD_BACK_BY = (
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
    "CUDA_VISIBLE_DEVICES",
)


def recall(name: str) -> Any | None:
    """Return what was remembered under a name; None where nothing was."""
    return _all().get(name)


def remember(name: str, value: Any) -> None:
    """Keep a measurement of this machine, where there is a cache that can be written."""
    facts = _all() | {name: value}
    with suppress(SeemantError, OSError):
        write_json(_path(), facts)


def _all() -> dict[str, Any]:
    try:
        found = read_json(_path())
    except (SeemantError, OSError):  # not measured yet, or torn: measured again
        return {}
    return found if isinstance(found, dict) else {}


def _path() -> Path:
    facts = hardware()
    which = {key: facts[key] for key in ("cpu", "flags", "cores", "memory_gb")}
    versions = {name: packages().get(name) for name in ("seemant", "torch", "numpy", "python")}
    held = {name: os.environ[name] for name in _HELD_BACK_BY if name in os.environ}
    return cache_dir() / "machine" / f"{json_sha256([which, versions, held])[:12]}.json"
