"""The parent's side of a worker process: an asker that speaks JSON lines over pipes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seemant.core.errors import InputError, SeemantError, WorldError
from seemant.distill.tasks import Reply, Task

COMMAND = (sys.executable, "-m", "seemant.distill.worker")
_LEAVE_S = 5.0


class WorkerProcess:
    """A started worker. Start it in a thread that outlives it: the kernel ties it to that one."""

    def __init__(
        self,
        model: Path,
        *,
        threads: int,
        context: int,
        at_once: int = 1,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start a worker; the model opens in the background, `ask` waits for it.

        at_once: how many tasks it is given together.
        """
        self.at_once = at_once
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self._ready = False
        self._hello = {
            "parent": os.getpid(),
            "model": str(model),
            "threads": threads,
            "context": context,
            "seats": at_once,
        }
        self._send(self._hello)

    def ask(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return the teacher's reply to each task.

        Raises:
            InputError: the model cannot be opened, or a task does not fit it.
            WorldError: the process died.
        """
        if not self._ready:
            self._receive()
            self._ready = True
        self._send([task.as_dict() for task in tasks])
        return [Reply(**reply) for reply in self._receive()["replies"]]

    def close(self) -> None:
        """End the process, at once if it is at work."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_LEAVE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # what was still to be sent has no reader any more
        self._errors.close()

    def _send(self, value: dict[str, Any] | list[dict[str, Any]]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: closed under us as the run stops
            raise self._dead() from error

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        except (OSError, ValueError) as error:
            raise self._dead() from error
        if not line.endswith("\n"):
            raise self._dead()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind: type[SeemantError] = InputError if answer["kind"] == "input" else WorldError
            raise kind(answer["error"], where=answer["where"], fix=answer["fix"])
        return answer

    def _dead(self) -> WorldError:
        try:
            code = self._process.wait(_LEAVE_S)
            self._errors.seek(0)
            said = self._errors.read()[-300:].decode(errors="replace").strip()
        except (subprocess.TimeoutExpired, ValueError):
            code, said = None, ""
        return WorldError(
            f"a teacher process ended (code {code})" + (f": {said}" if said else ""),
            where=f"process {self._process.pid}",
            fix="run the same command again; if memory is short, with fewer workers",
        )
