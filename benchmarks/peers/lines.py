"""A worker's end of the pipe: one JSON object a line in, one a line out. Standard library only.

A worker is a process of its own that holds one trainer. It reads `{"do": "step"}`, makes one
optimiser step and answers with its loss, its seconds and its memory; so several trainers take
turns step by step in one run, on one machine, under the same load.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_STATUS = Path("/proc/self/status")


class Pipe:
    """What the driver says, and how to answer it.

    Libraries print on standard output: theirs is turned to standard error, ours is kept.
    """

    def __init__(self) -> None:
        self.out: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self.spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
        self.started = time.perf_counter()

    def ready(self, **more: Any) -> None:
        """Say that the model is loaded; the peak so far is that of loading."""
        seconds = time.perf_counter() - self.started
        self.say(ready=True, load_s=seconds, load_peak=_field("VmHWM"), **more)
        reset_peak()

    def say(self, **answer: Any) -> None:
        """Answer one line."""
        self.out.write(json.dumps(answer) + "\n")

    def asks(self) -> Iterator[dict[str, Any]]:
        """Yield each request until "stop" or the end of the pipe."""
        while line := sys.stdin.readline():
            request: dict[str, Any] = json.loads(line)
            if request["do"] == "stop":
                return
            yield request


class Rows:
    """The rows of the work and which of them make a step: `steps[s][micro] = [row, ...]`."""

    def __init__(self, path: str) -> None:
        found = json.loads(Path(path).read_text())
        self.ids: list[list[int]] = found["ids"]
        self.n_prompt: list[int] = found["n_prompt"]
        self.steps: list[list[list[int]]] = found["steps"]

    def labels(self, row: int) -> list[int]:
        """Return a row's labels, not shifted: the prompt's are -100."""
        n = self.n_prompt[row]
        return [-100] * n + self.ids[row][n:]

    def counts(self, step: int) -> dict[str, int]:
        """Return how many tokens a step holds, and how many of them are answers."""
        rows = [row for micro in self.steps[step] for row in micro]
        tokens = sum(len(self.ids[row]) for row in rows)
        answers = sum(len(self.ids[row]) - self.n_prompt[row] for row in rows)
        return {"tokens": tokens, "answer_tokens": answers, "rows": len(rows)}


def memory() -> dict[str, int]:
    """Return resident bytes now and at their peak since the last `reset_peak`."""
    return {"rss": _field("VmRSS"), "peak": _field("VmHWM")}


def reset_peak() -> None:
    """Begin the account of the peak again."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # then the peak is that of the whole process, loading included
        return


def _field(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
