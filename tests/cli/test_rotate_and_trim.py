"""`seemant rotate` and `seemant trim`, as a user runs them: results, refusals, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.backends.tiny import write_tiny

SEEMANT = [sys.executable, "-m", "seemant"]
TEXT = "\n".join(f"the bat sat at a tall gate {n % 10} and ran" for n in range(60))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SEEMANT, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a model and a text."""
    write_tiny(tmp_path / "tiny.gguf")
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def test_a_rotated_model_is_compressed_and_trimmed(folder: Path) -> None:
    done = run(folder, "rotate", "path:tiny.gguf", "--seed", "3", "--out", "turned", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seeds"] == {"seed": 3}
    done = run(folder, "compress", "turned", "--bits", "3", "--out", "small")
    assert done.returncode == 0, done.stderr
    done = run(folder, "trim", "small", "text.txt", "--keep", "xyz", "the", "--out", "smaller")
    assert done.returncode == 0, done.stderr
    assert "tokens_outside" in done.stdout and "nats_ratio" in done.stdout
    old, new = (open_gguf(folder / name / "model.gguf") for name in ("small", "smaller"))
    assert new.metadata["seemant.rotation_seed"] == 3
    assert (folder / "smaller/model.gguf").stat().st_size < (
        folder / "small/model.gguf"
    ).stat().st_size
    assert new.tensors["output.weight"].shape[0] < old.tensors["output.weight"].shape[0]
    assert "already there" in run(folder, "rotate", "path:tiny.gguf", "--seed", "3", "--out",
                                  "turned").stdout  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rotate", "path:text.txt"], ["not a GGUF file", "text.txt"]),
        (["rotate", "path:gemma.gguf"], ["a Gemma model cannot be rotated", "fix:"]),
        (["rotate", "path:tiny.gguf", "--seed", "-1"], ["seed"]),
        (["trim", "path:tiny.gguf", "missing.txt"], ["missing.txt"]),
        (["trim", "path:tiny.gguf", "short.txt"], ["too little text", "fix:"]),
        (["trim", "path:tiny.gguf", "thai.txt"], ["known script", "Devanagari"]),
        (["trim", "path:tiny.gguf", "binary.txt"], ["not UTF-8"]),
        (["trim", "path:tiny.gguf", "text.txt", "--languages", "kn"], ["kn (Kannada): 0 tokens"]),
    ],
)
def test_bad_input_is_exit_2_and_no_model_is_left(
    folder: Path, arguments: list[str], words: list[str]
) -> None:
    (folder / "short.txt").write_text("the bat")
    (folder / "thai.txt").write_text("ภาษาไทย\n" * 50, encoding="utf-8")
    (folder / "binary.txt").write_bytes(b"\x7fELF\xff\xfe" * 100)
    file = open_gguf(folder / "tiny.gguf")
    tensors = {n: TensorData("F32", t.shape, file.dequantize(n)) for n, t in file.tensors.items()}
    metadata = {k.replace("llama.", "gemma3."): v for k, v in file.metadata.items()}
    write_gguf(folder / "gemma.gguf", metadata | {"general.architecture": "gemma3"}, tensors)
    done = run(folder, *arguments)
    assert done.returncode == 2, done.stderr + done.stdout
    for word in words:
        assert word in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("runs/*/*/model.gguf*"))


# The file is written with a pause at each tensor, so that the kill falls in the middle.
SLOW = """
import sys, time
import seemant.formats.gguf_write as w
real = w._write_tensor
def slow(file, *rest):
    real(file, *rest)
    file.flush()
    time.sleep(0.5)
w._write_tensor = slow
from seemant.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "command", [["rotate", "path:tiny.gguf"], ["trim", "tiny.gguf", "text.txt"]]
)
def test_a_killed_run_leaves_no_half_written_model_and_the_same_command_goes_on(
    folder: Path, command: list[str]
) -> None:
    asked = [*command, "--out", "made"]
    begun = subprocess.Popen([sys.executable, "-c", SLOW, *asked], cwd=folder)
    try:
        deadline = time.monotonic() + 100
        while not list(folder.glob("made/.model.gguf*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert list(folder.glob("made/.model.gguf*.tmp"))
    finally:
        os.kill(begun.pid, signal.SIGKILL)
        begun.wait()
    assert (
        not (folder / "made/model.gguf").exists() and not (folder / "made/manifest.json").exists()
    )
    done = run(folder, *asked)
    assert done.returncode == 0, done.stderr
    assert open_gguf(folder / "made/model.gguf").tensors
    assert not list(folder.glob("made/.*.tmp"))
