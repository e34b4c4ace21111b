"""Facts about this machine and the installed libraries, recorded with every figure."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = [
    "seemant",
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "tokenizers",
    "gguf",
    "numpy",
    "scipy",
    "xllamacpp",
]
_TELLING_FLAGS = [
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
]


def cores() -> int:
    """Return how many cores this process may use; of the machine, where no system call tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def load_average() -> float:
    """Return the one-minute load average."""
    return os.getloadavg()[0]


def memory_bytes() -> int:
    """Return the machine's physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def hardware() -> dict[str, Any]:
    """Return what the machine is: CPU model and flags, cores, memory, GPUs."""
    cpu, flags = _cpu()
    return {
        "cpu": cpu,
        "flags": [flag for flag in _TELLING_FLAGS if flag in flags],
        "machine": platform.machine(),
        "cores": cores(),
        "memory_gb": round(memory_bytes() / 1e9, 1),
        "gpus": _gpus(),
        "system": f"{platform.system()} {platform.release()}",
    }


def packages() -> dict[str, str]:
    """Return the versions of the libraries that numbers depend on, where installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Return the source tree's commit, with "+dirty" when it has changes; None outside a tree."""
    folder = Path(__file__).parent
    head = _output(["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"])
    if not head:
        return None
    dirty = _output(["git", "-C", str(folder), "status", "--porcelain", "--", "."])
    return head + ("+dirty" if dirty else "")


def _cpu() -> tuple[str, set[str]]:
    name, flags = platform.processor() or "unknown", set[str]()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                name = value.strip()
            if key.strip() in ("flags", "Features"):
                flags = set(value.split())
                break
    return name, flags


def _gpus() -> list[str]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    return [line.strip() for line in _output(query).splitlines() if line.strip()]


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
