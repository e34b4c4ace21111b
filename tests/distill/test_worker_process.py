"""Worker processes: they speak JSON lines, fail in words, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seemant.core.errors import InputError, WorldError
from seemant.distill.tasks import Task
from seemant.distill.worker_process import WorkerProcess

TASK = Task(
    paragraph_id="en-1",
    pair=0,
    attempt=0,
    lang="en",
    paragraph="ನದಿ",
    text="ನದಿ",
    rank=0,
    temperature=0.0,
    max_new_tokens=8,
    seed=0,
)

# A stand-in for the worker: the same protocol, no model.
ECHO = """
import json, sys
from seemant.distill.worker import die_with
hello = json.loads(sys.stdin.readline())
die_with(hello["parent"])
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    replies = [
        {"text": task["text"] + hello["model"], "finish_reason": "stop"}
        for task in json.loads(line)
    ]
    print(json.dumps({"replies": replies}), flush=True)
"""


def start(program: str, model: str = "m") -> WorkerProcess:
    command = [sys.executable, "-c", program]
    return WorkerProcess(Path(model), threads=1, context=256, command=command)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(process: int) -> bool:
    end = time.monotonic() + 10
    while alive(process) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(process)


def test_a_worker_answers_and_is_gone_when_closed() -> None:
    worker = start(ECHO)
    try:
        assert [reply.text for reply in worker.ask([TASK])] == ["ನದಿm"]
        assert [reply.text for reply in worker.ask([TASK, TASK])] == ["ನದಿm", "ನದಿm"]
    finally:
        worker.close()
    assert wait_until_gone(worker._process.pid)


def test_a_dead_worker_is_a_world_error_with_its_last_words() -> None:
    worker = start("import sys; sys.stdin.readline(); sys.exit('out of memory, or so')")
    with pytest.raises(WorldError, match="out of memory, or so") as caught:
        worker.ask([TASK])
    worker.close()
    assert "run the same command again" in str(caught.value)


def test_a_missing_model_is_the_user_s_to_fix(tmp_path: Path) -> None:
    worker = WorkerProcess(tmp_path / "none.gguf", threads=1, context=256)
    try:
        with pytest.raises(InputError, match="no such"):
            worker.ask([TASK])
    finally:
        worker.close()


def test_a_worker_dies_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\n"
            "from seemant.distill.worker_process import WorkerProcess\n"
            f"program = {ECHO!r} + 'import time; time.sleep(60)'\n"
            "w = WorkerProcess(Path('m'), threads=1, context=256,"
            " command=[sys.executable, '-c', program])\n"
            "w._receive()\nprint(w._process.pid, flush=True)\ntime.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(child)
