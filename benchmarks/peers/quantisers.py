"""The quantising peers' venvs: one each, as they pin different torches; built once, cached."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from peers.venv import cache


class Peer(NamedTuple):
    """A peer, how it is installed, and which methods it has here.

    pins: installed one line after another; some need torch there before they are built.
    """

    name: str
    pins: tuple[tuple[str, ...], ...]
    methods: tuple[str, ...]


_TORCH = "torch==2.13.0"  # the version whose CPU wheel lies here: later ones bring CUDA, 3 GB

PEERS = (
    Peer("llm-compressor", ((_TORCH,), (_TORCH, "llmcompressor==0.14.0.1")), ("gptq", "awq")),
    Peer(
        "gptqmodel",  # 7.7.0 wants torch 2.14.1; 7.0.0 breaks with transformers 5.23
        (
            (_TORCH, "setuptools<83", "wheel"),
            (_TORCH, "gptqmodel==7.0.0", "transformers==5.4.0", "--no-build-isolation"),
        ),
        ("gptq",),
    ),
    Peer("auto-round", ((_TORCH,), (_TORCH, "auto-round==0.16.1")), ("autoround",)),
)


class Unavailable(Exception):
    """A peer that cannot be installed here; says why."""


def python_of(name: str) -> Path:
    """Return the Python of a peer's venv, built now where it is missing.

    Raises:
        Unavailable: the installation failed; it is tried again next time.
    """
    peer = next(each for each in PEERS if each.name == name)
    content = f"{peer.pins} {sys.version_info[:3]}"
    folder = cache() / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / ".ready").is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    for pins in peer.pins:
        why = _refused(python, pins)
        if why:
            shutil.rmtree(folder, ignore_errors=True)
            raise Unavailable(f"cannot be installed here: {why}")
    (folder / ".ready").touch()
    return python


def _refused(python: Path, pins: tuple[str, ...]) -> str:
    """Install; return why not, or nothing. What would bring CUDA's libraries is not installed."""
    pip = [str(python), "-m", "pip", "install", "-q"]
    told = subprocess.run(
        [*pip, "--dry-run", "--report", "-", *pins], capture_output=True, text=True, check=False
    )
    done = told
    if not told.returncode:
        listed = json.loads(told.stdout[told.stdout.index("{") :])["install"]
        cuda = [each["metadata"]["name"] for each in listed]
        cuda = [name for name in cuda if name.startswith(("nvidia-cu", "cuda-"))]
        if cuda:
            return f"it needs CUDA's libraries ({len(cuda)} packages, about 3 GB)"
        done = subprocess.run([*pip, *pins], capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    said = [each for each in done.stderr.splitlines() if "ERROR" in each.upper()]
    return (said or ["?"])[-1][:200]
