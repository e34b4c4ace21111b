"""The driver's end: start workers, let them take turns, read what each step cost."""

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seemant.train.memory.limit import Limit

HERE = Path(__file__).parent


class Dead(Exception):
    """A worker ended before it answered; `code` is its exit status, -9 a kill."""

    def __init__(self, name: str, code: int, tail: str) -> None:
        super().__init__(f"{name} ended with {code}: {tail}")
        self.code, self.tail = code, tail


class Worker:
    """One trainer in a process of its own.

    name: how tables call it. python: its interpreter. script: a file of this folder. spec: what
    it trains. limit: the memory limit that it is put under before it imports anything.
    """

    def __init__(
        self,
        name: str,
        python: Path,
        script: str,
        spec: Mapping[str, Any],
        *,
        limit: "Limit | None" = None,
    ) -> None:
        self.name = name
        self.folder = tempfile.TemporaryDirectory(prefix="seemant-bench-")
        self.log = Path(self.folder.name) / "log"
        path = Path(self.folder.name) / "spec.json"
        path.write_text(json.dumps(dict(spec)))
        threads = {
            f"{each}_NUM_THREADS": str(spec["threads"]) for each in ("OMP", "MKL", "OPENBLAS")
        }
        quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        given = os.environ | threads | quiet
        given.pop("PYTHONPATH", None)
        words = [str(python), *([str(HERE / "hold.py")] if limit else []), str(HERE / script)]
        words.append(str(path))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                limit.command(words) if limit else words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=given,
                text=True,
            )
        self.peak = 0
        if limit is not None:
            assert self.process.stdin is not None and self.process.stdout is not None
            self.process.stdout.readline()
            limit.hold(self.process.pid)
            self.process.stdin.write("go\n")
            self.process.stdin.flush()

    def ready(self) -> dict[str, Any]:
        """Wait until its model is loaded; return what loading cost."""
        return self._answer()

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Ask one thing and wait for the answer.

        Raises:
            Dead: it ended instead.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its exit status says why
        answer = self._answer()
        self.peak = max(self.peak, int(answer.get("peak", 0)))
        return answer

    def close(self) -> None:
        """End it and remove its files."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise Dead(self.name, code, self.log.read_text(errors="replace")[-2000:])
        answer: dict[str, Any] = json.loads(line)
        return answer


def turns(workers: Sequence[Worker], steps: int, warmup: int) -> dict[str, list[dict[str, Any]]]:
    """Let workers make steps in turn; return each one's measured steps, the warm-ups apart.

    Who goes first changes every round. The result also holds the warm-up steps under
    "<name> (warm-up)", as their losses belong to the curve.
    """
    found: dict[str, list[dict[str, Any]]] = {each.name: [] for each in workers}
    early: dict[str, list[dict[str, Any]]] = {f"{each.name} (warm-up)": [] for each in workers}
    for number in range(warmup + steps):
        first = number % len(workers)
        for worker in [*workers[first:], *workers[:first]]:
            answer = worker.ask("step")
            if number < warmup:
                early[f"{worker.name} (warm-up)"].append(answer)
            else:
                found[worker.name].append(answer)
    return found | early


def summary(steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the median, least and most seconds of steps, and tokens a second over all of them."""
    seconds = [float(each["seconds"]) for each in steps]
    return {
        "step_s": statistics.median(seconds),
        "step_s_min": min(seconds),
        "step_s_max": max(seconds),
        "tokens_per_s": sum(each["tokens"] for each in steps) / sum(seconds),
        "rows_per_s": sum(each["rows"] for each in steps) / sum(seconds),
        "n": len(seconds),
    }


def curve_gap(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> float:
    """Return the largest relative difference of two loss curves of the same rows."""
    pairs = zip(one, other, strict=True)
    return max(abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in pairs)
