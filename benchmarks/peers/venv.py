"""The peers' own venv: pinned, built once in a cache outside the repository, reused by all scripts.

    python benchmarks/peers/venv.py            # build it (1.5 GB), print its Python
    python benchmarks/peers/venv.py --clean    # remove it

`torch` is pinned to the version that installs a CPU wheel here. Where the index offers only the
CUDA build, set PIP_INDEX_URL to an index of CPU wheels first.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PINS = ("torch==2.13.0", "transformers==5.23.0", "peft==0.21.2", "trl==1.16.0")


def peer_python() -> Path:
    """Return the Python of the peers' venv, built now where it is missing."""
    folder = venv_folder()
    python = folder / "bin" / "python"
    if (folder / ".ready").is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, PINS[0]], check=True)  # alone first: nothing else may choose its version
    subprocess.run([*pip, *PINS], check=True)
    (folder / ".ready").touch()
    return python


def venv_folder() -> Path:
    """Return where the venv lies: a name of its pins and this Python's version."""
    content = "\n".join([*PINS, ".".join(map(str, sys.version_info[:3]))])
    return cache() / hashlib.sha256(content.encode()).hexdigest()[:12]


def cache() -> Path:
    """Return the cache folder of the benchmarks."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "seemant-bench"


def versions() -> str:
    """Return the pins as one phrase for tables."""
    return ", ".join(pin.replace("==", " ") for pin in PINS)


def main() -> None:
    """Build or remove the venv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", action="store_true", help="remove every venv of the benchmarks")
    if parser.parse_args().clean:
        shutil.rmtree(cache(), ignore_errors=True)
        return
    print(peer_python())


if __name__ == "__main__":
    main()
