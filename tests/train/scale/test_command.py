"""The documented command under a launcher: real processes, each `python -m seemant train`."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seemant.core.jsonl import write_records
from tests.train import nan_worker
from tests.train.ranks import run_ranks
from tests.train.tiny import some_pairs

LIMIT_S = 120  # a deadlock would last half an hour
SETTINGS = [
    *("--rank", "2", "--steps", "4", "--batch", "2", "--accumulation", "2", "--save-every", "2"),
    *("--eval-every", "2", "--heldout-share", "0.3", "--threads", "1", "--lr", "0.01"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Sixty pairs and a line that is none."""
    path = tmp_path / "pairs.jsonl"
    write_records(path, some_pairs(60))
    with path.open("a") as file:
        file.write('{"instruction": "no output", "lang": "en"}\n')
    return path


def start(size: int, *arguments: object) -> list[tuple[int, str, str]]:
    """Start the command as a launcher does; return each rank's exit code, stdout and stderr."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "seemant", "train", *map(str, arguments), *SETTINGS]
    running = []
    for rank in range(size):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if size > 1:
            environment |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(size),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
        running.append(
            subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        said = [process.communicate(timeout=LIMIT_S) for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return [(p.returncode, *each) for p, each in zip(running, said, strict=True)]


def adapter_of(folder: Path) -> torch.Tensor:
    tensors = load_file(folder / "adapter" / "adapter_model.safetensors")
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def test_the_command_under_a_launcher_makes_the_adapter_of_one_process(
    base: Path, pairs: Path, tmp_path: Path
) -> None:
    given = (f"path:{base}", pairs)
    one, two = tmp_path / "one", tmp_path / "two"
    [alone] = start(1, *given, "--out", one)
    assert alone[0] == 0, alone[2]
    first = start(2, *given, "--out", two)
    assert [code for code, _, _ in first] == [0, 0], [error[-2000:] for _, _, error in first]
    assert "done:" in first[0][1] and first[1][1] == ""  # only rank 0 tells
    want = adapter_of(one)
    assert float((adapter_of(two) - want).norm() / want.norm()) <= 1e-4
    assert len((two / "rejected.jsonl").read_text().splitlines()) == 1

    # Asked again it is there: rank 0 says so, and nobody waits for a run that never begins.
    again = start(2, *given, "--out", two)
    assert [code for code, _, _ in again] == [0, 0]
    assert "already there" in again[0][1]

    # Made anew, the follower does not take the old artefact for the answer.
    made = (two / "manifest.json").stat().st_mtime_ns
    anew = start(2, *given, "--out", two, "--force")
    assert [code for code, _, _ in anew] == [0, 0], [error[-2000:] for _, _, error in anew]
    assert (two / "manifest.json").stat().st_mtime_ns > made
    assert "done:" in anew[0][1]


def test_what_rank_0_is_refused_nobody_waits_for(base: Path, pairs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    said = start(2, f"path:{base}", pairs, "--out", other)
    assert [code for code, _, _ in said] == [2, 0]
    assert "something else" in said[0][2]
    limited = start(2, f"path:{base}", pairs, "--out", tmp_path / "x", "--memory-limit", "2GB")
    assert [code for code, _, _ in limited] == [2, 2]
    assert all("several ranks" in error for _, _, error in limited)


def test_a_number_that_is_none_on_one_rank_ends_all_of_a_sharded_step(
    base: Path, tmp_path: Path
) -> None:
    run_ranks(Path(nan_worker.__file__), 2, base, tmp_path)  # with a time limit: no deadlock
    said = [json.loads((tmp_path / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    assert [seen for seen, _ in said] == [2, 2]
    assert all("step 1 is not finite: loss nan" in words for _, words in said)
    assert (tmp_path / "nan_step_1.json").is_file()
