"""The README's tour is run as it stands, on the real models."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def tour() -> list[str]:
    """Return the commands of the README's `sh` blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_tour_shows_the_whole_chain() -> None:
    words = {shlex.split(line)[1] for line in tour()}
    chain = {"corpus", "distill", "train", "probe", "compress", "divergence", "bench", "export"}
    assert chain | {"chat", "study"} <= words


@pytest.mark.real
def test_the_tour_runs(tmp_path: Path, gemma_gguf: Path) -> None:
    for line in tour():
        name, *arguments = shlex.split(line)
        assert name == "seemant"
        done = subprocess.run(
            [sys.executable, "-m", "seemant", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert (tmp_path / "tour" / "bundle" / "model.gguf").is_file()
