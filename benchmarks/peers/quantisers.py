"""The quantising peers' venvs: one each, as they pin different torches; built once, cached."""

import hashlib
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


PEERS = (
    Peer("llm-compressor", (("llmcompressor==0.14.0.1",),), ("gptq", "awq")),
    Peer(
        "gptqmodel",
        (("torch", "setuptools", "wheel"), ("gptqmodel==7.7.0", "--no-build-isolation")),
        ("gptq",),
    ),
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
        words = [str(python), "-m", "pip", "install", "-q", *pins]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [each for each in done.stderr.splitlines() if "ERROR" in each.upper()]
            shutil.rmtree(folder, ignore_errors=True)
            raise Unavailable(f"cannot be installed here: {(said or ['?'])[-1][:200]}")
    (folder / ".ready").touch()
    return python
