"""The quantising peers' venvs: one each, as they pin different torches; built once, cached."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

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
            ("requests==2.34.2",),  # it imports it and does not ask for it
        ),
        ("gptq",),
    ),
    Peer("auto-round", ((_TORCH,), (_TORCH, "auto-round==0.16.1")), ("autoround",)),
)


HERE = Path(__file__).parent


class Unavailable(Exception):
    """A peer that cannot be installed here, fails, or takes too long; says why."""


def answer_of(
    script: str, spec: dict[str, Any], *, peer: str | None = None, limit: float | None = None
) -> dict[str, Any]:
    """Return the JSON object that a worker of this folder ends with; None: it is not a peer's.

    It runs in a scratch folder, TMPDIR too: peers leave logs and offloaded weights behind.

    Raises:
        Unavailable: the peer cannot be installed, the worker fails, or is not done after `limit` s.
    """
    python = python_of(peer) if peer else Path(sys.executable)
    built = python.parent.parent / "built"  # what GPTQModel compiles when it first runs
    for lock in built.rglob("lock"):
        lock.unlink()  # of a run that was killed: the next one would wait for ever
    words = [str(python), str(HERE / script), json.dumps(spec | ({"peer": peer} if peer else {}))]
    with tempfile.TemporaryDirectory(prefix="seemant-bench-") as scratch:
        worker = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=scratch,
            env=os.environ | {"TMPDIR": scratch, "GPTQMODEL_EXT_BUILD": str(built)},
            start_new_session=True,
        )
        try:
            said, complained = worker.communicate(timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"not done after {limit:.0f} s") from error
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)  # with the processes that it started
                worker.communicate()
    if worker.returncode:
        lines = [each for each in complained.strip().splitlines() if each.strip()]
        raise Unavailable(f"exit {worker.returncode}: {lines[-1][:200] if lines else ''}")
    answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return answer


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
