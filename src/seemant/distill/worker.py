"""A worker process of the embedded teacher: JSON lines in, JSON lines out.

    python -m seemant.distill.worker

The first line on standard input says which model to open; each further line is a list of tasks and
gets one line back, the list of their replies. It ends with its standard input, and dies with its
parent: killed with -9, the parent leaves no orphan that keeps a core busy.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from seemant.core.errors import SeemantError
from seemant.distill.tasks import Task
from seemant.distill.teachers import completion_teacher
from seemant.models.backends.protocol import Backend

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Serve one parent until it closes our standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = _private_stdout()
    hello = json.loads(sys.stdin.readline())
    die_with(hello["parent"])
    from seemant.models.backends.open import open_backend

    try:
        with open_backend(
            Path(hello["model"]),
            threads=hello["threads"],
            context=hello["context"],
            seats=hello["seats"],
            strict=True,
        ) as backend:
            _write(answers, {"ready": True})
            serve(backend, sys.stdin, answers)
    except (SeemantError, OSError) as error:
        _write(answers, _failure(error))


def serve(backend: Backend, tasks: Iterable[str], answers: TextIO) -> None:
    """Answer tasks, a line of JSON, with a line of JSON: their replies, or an error."""
    teacher = completion_teacher(backend)
    for line in tasks:
        try:
            replies = teacher([Task(**task) for task in json.loads(line)])
        except SeemantError as error:
            _write(answers, _failure(error))
        else:
            _write(answers, {"replies": [asdict(reply) for reply in replies]})


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; do so now if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _private_stdout() -> TextIO:
    """Return our standard output, and let whatever libraries print go to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _failure(error: SeemantError | OSError) -> dict[str, Any]:
    if isinstance(error, SeemantError):
        kind = "input" if error.exit_code == 2 else "world"
        return {"error": error.what, "where": error.where, "fix": error.fix, "kind": kind}
    return {"error": str(error), "where": None, "fix": None, "kind": "world"}


def _write(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")  # ASCII: whatever the text holds, a line is a line
    answers.flush()


if __name__ == "__main__":
    main()
