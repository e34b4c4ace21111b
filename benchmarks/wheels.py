"""Claim: `make setup` finds a wheel of every pinned package on x86-64 and on 64-bit ARM.

    .venv/bin/python benchmarks/wheels.py          # seconds; metadata only, nothing is installed

For each machine and the oldest patch release of Python 3.11, pip is asked for the pins of
`constraints.txt` as wheels alone. What has none is named; value = how many.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from claim import machine, say_claim

PINS = Path(__file__).parents[1] / "constraints.txt"
MACHINES = ("x86_64", "aarch64")
GLIBC = 36  # Debian 12, Ubuntu 22.04 (35): the newest C library that a pin may ask for
PYTHON = "3.11.0"


def main() -> int:
    """Ask for each pin on each machine; returns 1 when one has no wheel."""
    print(machine())
    pins = [line for line in PINS.read_text("utf-8").splitlines() if line and line[0] != "#"]
    lacking = [f"{pin} on {each}" for each in MACHINES for pin in lacks(pins, each)]
    for line in lacking:
        print("no wheel:", line)
    say_claim(
        name="wheels",
        value=len(lacking),
        bar=0,
        holds=not lacking,
        n=len(pins) * len(MACHINES),
        peer="pip",
        ratio=None,
    )
    return 1 if lacking else 0


def lacks(pins: list[str], architecture: str) -> list[str]:
    """Return the pins without a wheel: all are asked for at once, one by one if that fails."""
    if has_wheels(pins, architecture):
        return []
    return [pin for pin in pins if not has_wheels([pin], architecture)]


def has_wheels(pins: list[str], architecture: str) -> bool:
    """Return whether pip finds wheels for these pins."""
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(5, GLIBC + 1)]
    platforms += [f"manylinux2014_{architecture}"]
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "-q"]
        command += ["--ignore-installed", "--target", nowhere, "--only-binary=:all:"]
        command += ["--python-version", PYTHON, "--implementation", "cp"]
        command += [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
        command += [word for name in platforms for word in ("--platform", name)]
        return subprocess.run([*command, *pins], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
